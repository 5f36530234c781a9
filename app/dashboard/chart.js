// Candles, volume, zones, level lines, the ribbon of phases and markers of one coin; live by the tab's socket.
// Colours come from the page's tokens, so the chart follows the theme.
const ranges = (globalThis.zionRanges ??= new Map()); // symbol -> the range the viewer chose

const colour = (box, name) => {
  const probe = document.createElement("span");
  probe.style.color = `var(--${name})`;
  box.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
};
const faint = (rgb, alpha) => rgb.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);

// Drawn under the candles; label text stands on a plate of the surface's colour.
class Marks {
  constructor(tone) {
    this.tone = tone;
    this.set({ zones: [], lines: [], phases: [] });
    const at = (zOrder, draw) => ({ zOrder: () => zOrder, renderer: () => ({ draw: (target) => target.useMediaCoordinateSpace(draw) }) });
    this.views = [at("bottom", (scope) => this.under(scope)), at("top", (scope) => this.over(scope))];
  }
  set({ zones, lines, phases }) { Object.assign(this, { zones, lines, phases }); this.redraw?.(); }
  attached({ chart, series, requestUpdate }) { Object.assign(this, { chart, series, redraw: requestUpdate }); }
  detached() { this.redraw = undefined; }
  updateAllViews() {}
  paneViews() { return this.views; }
  // Times between bars (or in the future) are placed by the grid of bars.
  x(time) {
    const scale = this.chart.timeScale();
    const exact = scale.timeToCoordinate(time);
    if (exact !== null) return exact;
    const { first, last, step, count } = this.grid;
    const logical = time < first ? (time - first) / step : count - 1 + (time - last) / step;
    return scale.logicalToCoordinate(Math.round(logical)) ?? -1e4;
  }
  label(c, text, x, y, ink) {
    c.fillStyle = faint(this.tone("surface"), 0.85);
    c.fillRect(x - 3, y - 10, c.measureText(text).width + 6, 14);
    c.fillStyle = ink;
    c.fillText(text, x, y);
  }
  half() { return this.chart.timeScale().options().barSpacing / 2; }
  under({ context: c }) {
    const half = this.half();
    for (const z of this.zones) {
      const [x0, x1] = [this.x(z.from) - half, this.x(z.to) - half];
      const [y0, y1] = [this.series.priceToCoordinate(z.hi), this.series.priceToCoordinate(z.lo)];
      if (y0 === null || y1 === null) continue;
      c.fillStyle = faint(this.tone(z.tone), z.alpha);
      c.fillRect(x0, y0, x1 - x0, Math.max(y1 - y0, 2));
    }
    for (const l of this.lines) {
      const y = this.series.priceToCoordinate(l.price);
      if (y === null) continue;
      c.strokeStyle = this.tone(l.tone);
      c.lineWidth = l.dash ? 1 : 1.5;
      c.setLineDash(l.dash ? [4, 3] : []);
      c.beginPath();
      c.moveTo(this.x(l.from) - half, y);
      c.lineTo(this.x(l.to) - half, y);
      c.stroke();
      c.setLineDash([]);
    }
  }
  over({ context: c, mediaSize }) {
    const half = this.half();
    const narrow = mediaSize.width < 420;
    c.font = "500 11px Inter, sans-serif";
    const used = [];
    const place = (text, x, y, ink) => {
      const width = c.measureText(text).width;
      const left = Math.max(4, Math.min(x, mediaSize.width - width - 8));
      while (used.some(([a, b, at]) => Math.abs(at - y) < 14 && left < b && left + width > a)) y += 14;
      used.push([left, left + width, y]);
      this.label(c, text, left, y, ink);
    };
    for (const z of this.zones) {
      if (!z.text || narrow) continue;
      const y = this.series.priceToCoordinate(z.below ? z.lo : z.hi);
      if (y !== null) place(z.text, this.x(z.from) + 4, z.below ? y + 15 : y - 7, this.tone(z.tone));
    }
    for (const l of this.lines) {
      const y = this.series.priceToCoordinate(l.price);
      if (l.text && y !== null && !narrow) place(l.text, this.x(l.from) + 4, y + 13, this.tone(l.tone));
    }
    for (const p of this.phases) {
      const [x0, x1] = [Math.max(this.x(p.from) - half, 0) + 1, Math.min(this.x(p.to) - half, mediaSize.width) - 1];
      if (x1 - x0 < 2) continue;
      c.fillStyle = this.tone("surface");
      c.beginPath(); c.roundRect(x0, 2, x1 - x0, 18, 4); c.fill();
      c.fillStyle = faint(this.tone(`p${p.n}`), 0.26);
      c.beginPath(); c.roundRect(x0, 2, x1 - x0, 18, 4); c.fill();
      c.fillStyle = this.tone("text");
      const long = `${p.n} ${p.name}`;
      const text = !narrow && c.measureText(long).width < x1 - x0 - 10 ? long : `${p.n}`;
      if (x1 - x0 > 12) c.fillText(text, x0 + 5, 15);
    }
  }
}

const build = (lw, box, data) => {
  box.replaceChildren();
  let cached = new Map();
  const tone = (name) => {
    if (!cached.has(name)) cached.set(name, colour(box, name));
    return cached.get(name);
  };
  const chart = lw.createChart(box, {
    autoSize: true,
    layout: { background: { color: "transparent" }, fontFamily: "Inter, sans-serif", fontSize: 11, attributionLogo: true },
    rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.1, bottom: 0.16 } },
    timeScale: { timeVisible: true, rightOffset: data.future, minBarSpacing: 0.5 },
    crosshair: { mode: 0 },
    localization: { locale: "en-GB" },
  });
  const candles = chart.addSeries(lw.CandlestickSeries, {
    priceFormat: { type: "price", precision: data.digits, minMove: 10 ** -data.digits },
  });
  const volume = chart.addSeries(lw.HistogramSeries, { priceScaleId: "", lastValueVisible: false, priceLineVisible: false });
  volume.priceScale().applyOptions({ scaleMargins: { top: 0.88, bottom: 0 } });
  const marks = new Marks(tone);
  candles.attachPrimitive(marks);
  const markers = lw.createSeriesMarkers(candles, []);
  const bar = ([time, open, high, low, close]) => ({ time, open, high, low, close });
  const column = (b) => ({ time: b[0], value: b[5], color: faint(tone(b[4] >= b[1] ? "up" : "down"), 0.35) });
  let rows = [];
  let drawn;
  const grid = () => {
    marks.grid = { first: rows[0]?.[0] ?? 0, last: rows.at(-1)?.[0] ?? 0, step: data.step, count: rows.length };
  };
  const overlay = (o) => {
    drawn = o;
    marks.set(o);
    markers.setMarkers(o.marks.map((m) => ({ time: m.time, position: m.at, shape: m.shape, color: tone(m.tone), text: m.text, size: 0.8 })));
  };
  const load = (next) => {
    rows = next;
    grid();
    candles.setData(rows.map(bar));
    volume.setData(rows.map(column));
  };
  const update = (b) => {
    const last = rows.at(-1)?.[0] ?? 0;
    if (b[0] < last) return;
    if (b[0] === last) rows[rows.length - 1] = b;
    else rows.push(b);
    grid();
    candles.update(bar(b));
    volume.update(column(b));
  };
  const dress = () => {
    cached = new Map();
    const [up, down, muted, line] = ["up", "down", "muted", "line"].map(tone);
    chart.applyOptions({
      layout: { textColor: muted },
      grid: { vertLines: { visible: false }, horzLines: { color: faint(line, 0.6) } },
      timeScale: { borderColor: line },
    });
    candles.applyOptions({ upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down, priceLineColor: muted });
    volume.setData(rows.map(column));
    if (drawn) overlay(drawn);
  };
  load(data.bars);
  overlay(data.overlay);
  dress();
  const fit = () => {
    const shown = window.innerWidth < 720 ? 160 : 360;
    chart.timeScale().setVisibleLogicalRange({ from: Math.max(0, rows.length - shown), to: rows.length + data.future });
  };
  const kept = ranges.get(data.symbol);
  if (kept) chart.timeScale().setVisibleRange(kept); else fit();
  return {
    update, overlay, load, dress, fit,
    centre(time) {
      const at = rows.findIndex((b) => b[0] >= time);
      const range = chart.timeScale().getVisibleLogicalRange();
      if (at < 0 || !range) return;
      const span = (range.to - range.from) / 2;
      chart.timeScale().setVisibleLogicalRange({ from: at - span, to: at + span });
    },
    remove() { chart.remove(); },
    rows: () => rows,
  };
};

export default function ({ data, parentElement }) {
  const box = parentElement.querySelector(".zchart");
  const stops = [];
  let gone = false;
  const start = async () => {
    const [lw, { live }] = await Promise.all([data.library, data.live].map((path) => import(new URL(path, location.origin).href)));
    if (gone) return;
    if (box.zion && box.zion.symbol !== data.symbol) { box.zion.view.remove(); box.zion = undefined; }
    if (box.zion) { box.zion.view.load(data.bars); box.zion.view.overlay(data.overlay); }
    else box.zion = { symbol: data.symbol, view: build(lw, box, data) };
    const { view } = box.zion;
    const [bars, drawn] = [`bar:${data.symbol}:${data.interval}`, `chart:${data.symbol}`];
    const again = async () => {
      const answer = await fetch(`/api/v1/market/coins/${encodeURIComponent(data.symbol)}/bars?limit=1000`);
      if (!answer.ok || gone) return;
      view.load((await answer.json()).bars.map((b) => [b[0] / 1000, ...b.slice(1)]));
    };
    stops.push(
      live.on(bars, (frame, gap) => {
        if (gap) { again(); return; }
        for (const b of frame.bars) view.update([b[0] / 1000, ...b.slice(1)]);
      }),
      live.on(drawn, (frame) => view.overlay(frame)),
    );
    live.watch(box, [bars, drawn]);
    stops.push(() => live.leave(box));
    const centre = (event) => view.centre(event.detail / 1000);
    document.addEventListener("zion:at", centre);
    stops.push(() => document.removeEventListener("zion:at", centre));
    const key = (event) => {
      if (event.key === "f" && !event.target.closest?.("input, textarea") && !event.ctrlKey && !event.metaKey) view.fit();
    };
    document.addEventListener("keydown", key);
    stops.push(() => document.removeEventListener("keydown", key));
    // The theme is a style of the page's root: dress the canvas anew when it changes.
    const dress = () => requestAnimationFrame(() => { if (!gone) view.dress(); });
    const theme = new MutationObserver(dress);
    for (const node of [document.documentElement, document.body, document.querySelector(".stApp")]) {
      if (node) theme.observe(node, { attributes: true, attributeFilter: ["class", "style"] });
    }
    const system = matchMedia("(prefers-color-scheme: dark)");
    system.addEventListener("change", dress);
    stops.push(() => theme.disconnect(), () => system.removeEventListener("change", dress));
    box.dataset.ready = "1";
  };
  start();
  return () => {
    gone = true;
    for (const stop of stops) stop();
    if (box.zion && !box.isConnected) { box.zion.view.remove(); box.zion = undefined; }
  };
}
