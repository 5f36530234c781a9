// The tab's only socket, shared by every component on the page. It patches text and slots in place;
// Streamlit is not involved: nothing here causes a rerun.
const create = () => {
  const wanted = new Map(); // owner -> topics
  const listeners = new Map(); // topic -> set of functions
  const texts = new Map(); // key -> newest text
  const counts = new Map(); // topic -> last seq
  const stats = { frames: 0, opened: 0, gaps: 0 };
  let socket;
  let wait = 500;
  let tries = 0;
  let sent = "";
  const still = matchMedia("(prefers-reduced-motion: reduce)");

  const topics = () => {
    const all = new Set(["status", ...[...wanted.values()].flat()]);
    return document.hidden ? ["status"] : [...all].sort();
  };
  const ask = (op, names) => {
    if (socket?.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ op, topics: names }));
  };
  const subscribe = () => {
    const names = topics();
    const key = names.join(" ");
    if (key !== sent && socket?.readyState === WebSocket.OPEN) {
      sent = key;
      ask("topics", names);
    }
  };
  const write = (node, text) => {
    if (node.textContent === text) return;
    const before = parseFloat(node.textContent.replaceAll(",", ""));
    node.textContent = text;
    const now = parseFloat(text.replaceAll(",", ""));
    if (node.classList.contains("px") && before !== now && !Number.isNaN(before)) {
      if (!still.matches) {
        const tint = `color-mix(in srgb, var(--${now > before ? "up" : "down"}) 26%, transparent)`;
        node.animate([{ backgroundColor: tint }, { backgroundColor: "transparent" }], 300);
      }
    }
  };
  const paint = () => {
    for (const node of document.querySelectorAll("[data-live]")) {
      const text = texts.get(node.dataset.live);
      if (text !== undefined) write(node, text);
    }
    const tone = texts.get("status.tone");
    for (const node of document.querySelectorAll("[data-tone]")) if (tone) node.className = `dot ${tone}`;
  };
  const fill = (slots) => {
    for (const [name, html] of Object.entries(slots)) {
      const node = document.querySelector(`[data-slot="${CSS.escape(name)}"]`);
      if (!node) continue;
      const focused = node.contains(document.activeElement) ? document.activeElement.dataset.go : undefined;
      node.innerHTML = html; // made by parts.py: every value in it is escaped there
      if (focused) node.querySelector(`[data-go="${CSS.escape(focused)}"]`)?.focus();
    }
  };
  const take = (frame) => {
    stats.frames += 1;
    const before = counts.get(frame.topic);
    counts.set(frame.topic, frame.seq);
    const gap = before !== undefined && frame.seq !== before + 1;
    if (gap) { stats.gaps += 1; ask("snapshot", [frame.topic]); }
    const data = frame.data;
    if (data.slots) fill(data.slots);
    for (const [key, text] of Object.entries(data.text ?? {})) texts.set(key, text);
    if (data.text || data.slots) paint();
    for (const call of listeners.get(frame.topic) ?? []) call(data, gap);
  };
  const lost = () => {
    tries += 1;
    sent = "";
    counts.clear();
    if (tries > 1) {
      document.documentElement.dataset.link = "down";
      texts.set("status.state", `No connection. Reconnecting, try ${tries - 1}`);
      texts.set("status.tone", "down");
      paint();
    }
    setTimeout(open, wait * (0.5 + Math.random()));
    wait = Math.min(wait * 2, 8000);
  };
  const open = () => {
    socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/api/v1/stream`);
    socket.onopen = () => {
      wait = 500;
      tries = 0;
      stats.opened += 1;
      delete document.documentElement.dataset.link;
      subscribe();
    };
    socket.onmessage = ({ data }) => take(JSON.parse(data));
    socket.onclose = lost;
  };
  document.addEventListener("visibilitychange", subscribe);

  // Keys: any element with data-key is pressed by that key; "g m" goes to Market.
  let leader = 0;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    if (event.key === "g") { leader = event.timeStamp; return; }
    if (event.key === "m" && event.timeStamp - leader < 1500) {
      document.querySelector('[data-testid="stSidebarNavLink"]')?.click();
      return;
    }
    const target = document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    if (target) { event.preventDefault(); target.click(); }
  });

  open();
  return {
    stats,
    watch(owner, names) { wanted.set(owner, names); subscribe(); },
    leave(owner) { wanted.delete(owner); queueMicrotask(subscribe); },
    on(topic, call) {
      const set = listeners.get(topic) ?? new Set();
      listeners.set(topic, set.add(call));
      return () => set.delete(call);
    },
    repaint: paint,
  };
};
export const live = (globalThis.zion ??= create());
