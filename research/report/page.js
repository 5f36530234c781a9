"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const root = document.documentElement;
  const probe = document.createElement("span");
  probe.style.display = "none";
  document.body.append(probe);

  // "@up/0.2" -> the token's colour in the theme in force
  const colour = (token) => {
    const [name, alpha] = token.slice(1).split("/");
    probe.style.color = `var(--${name})`;
    const rgb = getComputedStyle(probe).color;
    return alpha ? rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`) : rgb;
  };
  const painted = (value) => {
    if (typeof value === "string") return /^@[a-z0-9]+(\/[\d.]+)?$/.test(value) ? colour(value) : value;
    if (Array.isArray(value)) return value.map(painted);
    if (value && typeof value === "object" && !ArrayBuffer.isView(value))
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, painted(v)]));
    return value;
  };
  const axis = () => ({
    gridcolor: colour("@line"), linecolor: colour("@line"), zeroline: false, tickcolor: colour("@line"),
    ticks: "outside", ticklen: 3, tickfont: { color: colour("@muted"), size: 11 }, automargin: true,
  });
  const layoutOf = (layout) => {
    const own = painted(layout);
    const title = (a) => (a && a.title ? { ...a, title: { font: { color: colour("@muted"), size: 11 }, standoff: 8, ...a.title } } : a);
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", dragmode: "zoom", hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, color: colour("@text"), size: 12 },
      hoverlabel: { bgcolor: colour("@raised"), bordercolor: colour("@line"), font: { color: colour("@text") } },
      bargap: 0.25, ...own,
      margin: { l: 56, r: 16, t: 22, b: 40, ...(own.margin || {}) },
      xaxis: { ...axis(), ...title(own.xaxis) }, yaxis: { ...axis(), ...title(own.yaxis) },
      legend: { font: { color: colour("@muted") }, bgcolor: "rgba(0,0,0,0)", ...(own.legend || {}) },
    };
  };
  const drawn = new Set();
  const draw = (box) => {
    const figure = figures[box.dataset.figure];
    if (!figure) return;
    Plotly.react(box, painted(figure.data), layoutOf(figure.layout), { displaylogo: false, responsive: true, displayModeBar: false });
    drawn.add(box);
  };
  const boxes = [...document.querySelectorAll(".plot")];
  boxes.forEach((box) => { box.style.minHeight = `${figures[box.dataset.figure]?.layout.height || 60}px`; });
  // Only what comes near the window is drawn: fifty figures at once would block the page.
  const watch = new IntersectionObserver((entries) => entries.forEach((e) => {
    if (e.isIntersecting) { watch.unobserve(e.target); draw(e.target); }
  }), { rootMargin: "600px" });
  boxes.forEach((box) => watch.observe(box));
  addEventListener("beforeprint", () => boxes.forEach((box) => drawn.has(box) || draw(box)));

  const repaint = () => drawn.forEach(draw);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  document.getElementById("theme").addEventListener("click", () => {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    repaint();
  });
  document.querySelectorAll("[data-log]").forEach((button) => button.addEventListener("click", () => {
    const layout = figures[button.dataset.log].layout;
    const log = layout.yaxis.type !== "log";
    layout.yaxis.type = log ? "log" : "linear";
    button.textContent = log ? "Linear scale" : "Log scale";
    draw(document.querySelector(`[data-figure=${button.dataset.log}]`));
  }));

  const sort = (head) => {
    const table = head.closest("table"), column = head.cellIndex, body = table.tBodies[0];
    const up = head.getAttribute("aria-sort") === "descending";
    table.querySelectorAll("th").forEach((th) => th.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const key = (row) => { const k = row.cells[column].dataset.k, n = Number(k); return k !== "" && !Number.isNaN(n) ? n : k; };
    const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
    [...body.rows].sort((a, b) => order(key(a), key(b)) * (up ? 1 : -1)).forEach((row) => body.append(row));
  };
  document.querySelectorAll("table.sortable th").forEach((th) => {
    th.addEventListener("click", () => sort(th));
    th.addEventListener("keydown", (e) => { if (e.key === "Enter") sort(th); });
  });
  document.querySelectorAll(".csv").forEach((button) => button.addEventListener("click", () => {
    const table = document.querySelector(`table[data-name=${button.dataset.for}]`);
    const cell = (c) => `"${c.textContent.replaceAll('"', '""')}"`;
    const text = [...table.rows].map((row) => [...row.cells].map(cell).join(",")).join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
    link.download = `${button.dataset.for}.csv`;
    link.click();
    URL.revokeObjectURL(link.href);
  }));
})();
