// One chart: mounted once, then updated in place for the rest of its life.
// Streamlit calls draw() for every message; the nodes below `host` and the Plotly graph in them stay the same, so zoom,
// legend and hover survive and no frame is ever blank.

const LAB = "__CONSTANTS__";

const ICONS = {
  reset: '<path d="M3 8a5 5 0 1 0 1.6-3.7M3 2.5V5h2.5"/>',
  table: '<path d="M2.5 3h11v10h-11zM2.5 6.4h11M2.5 9.7h11M6.4 3v10"/>',
  vector: '<path d="M3 12.5C4 4 12 12 13 3.5"/><circle cx="3" cy="12.5" r="1.3"/><circle cx="13" cy="3.5" r="1.3"/>',
  image: '<path d="M2.5 3h11v10h-11zM3 11.5l3.2-3.4 2.3 2.2 2-1.9 2.6 2.8"/><circle cx="6" cy="6" r=".8"/>',
};

function styles() {
  const id = "lab-chart-css";
  const node = document.getElementById(id) ?? document.head.appendChild(Object.assign(document.createElement("style"), { id }));
  if (node.textContent !== LAB.css) node.textContent = LAB.css;
}

// One chart a frame, in the order of the page: the first is seen while the last are still to be drawn.
const turns = [];

function inTurn(draw) {
  if (turns.push(draw) === 1) requestAnimationFrame(nextTurn);
}

async function nextTurn() {
  try {
    await turns[0]();
  } finally {
    turns.shift();
    if (turns.length) requestAnimationFrame(nextTurn);
  }
}

class Chart {
  constructor(host) {
    styles();
    this.host = host;
    this.zooms = 0; // how often the visitor asked for the whole view; part of the axes' uirevision
    this.held = {}; // ranges that the visitor chose, by axis: Plotly drops them when a figure brings another range
    this.root = document.createElement("figure");
    this.root.className = "lab-chart";
    this.root.innerHTML = `
      <div class="lab-head"><div class="lab-titles"><div class="lab-title"></div><div class="lab-subtitle"></div></div>
      <div class="lab-tools"></div></div>
      <div class="lab-plot"><div class="lab-gd" role="img"></div><div class="lab-note" role="status"></div></div>`;
    for (const name of ["title", "subtitle", "tools", "plot", "gd", "note"]) this[name] = this.root.querySelector(`.lab-${name}`);
    this.resetButton = this.button("reset", "Whole view", "Show everything again", () => this.reset());
    this.button("table", "CSV", "Download the table behind this chart", () => this.drawn && saveTable(this.gd, this.head?.text));
    this.button("image", "PNG", "Download this chart as a picture", () => this.picture("png"));
    this.button("vector", "SVG", "Download this chart as a vector graphic (SVG)", () => this.picture("svg"));
    this.resetButton.hidden = true;
    this.handle = new Handle(this.plot, (value, final, row) => this.tell("drag", { value, final, row: row ?? null }));
    this.handle.released = () => this.schedule();
    this.brush = new Brush(this.plot, (axis, low, high) => this.tell("brush", { axis, low, high }));
    this.seen = false;
    this.eye = new IntersectionObserver((e) => { this.seen = e.at(-1).isIntersecting; this.schedule(); }, { rootMargin: "300px" });
    this.ruler = new ResizeObserver(() => this.schedule());
    this.free = () => setTimeout(() => this.schedule(), 0);
    document.addEventListener("pointerup", this.free);
    host.appendChild(this.root);
    this.eye.observe(this.root);
    this.ruler.observe(this.plot);
  }

  button(icon, text, label, action) {
    const node = document.createElement("button");
    node.type = "button";
    node.title = label;
    node.setAttribute("aria-label", label);
    node.innerHTML = `<svg viewBox="0 0 16 16" aria-hidden="true">${ICONS[icon]}</svg>${icon === "reset" ? text : ""}`;
    node.dataset.action = icon;
    node.addEventListener("click", action);
    this.tools.appendChild(node);
    return node;
  }

  /** A new message. Cheap when nothing changed; otherwise the newest one is drawn in the next frame. */
  update(message, tell) {
    this.tell = tell;
    const theme = themeOf(this.host);
    if (message.id === this.message?.id && theme === this.theme) return;
    this.message = message;
    this.theme = theme;
    this.root.className = `lab-chart ${theme}${message.select ? " picks" : ""}`;
    this.root.style.height = `${message.height}px`;
    this.head = message.layout.title ?? null;
    this.title.textContent = plainText(this.head?.text);
    this.subtitle.textContent = plainText(this.head?.subtitle?.text);
    this.gd.setAttribute("aria-label", message.alt || plainText(this.head?.text));
    this.fresh = true;
    this.schedule();
  }

  prepare() {
    const { message, theme } = this;
    const known = [];
    let data = decode(message.data, known);
    let { title, template, shapes = [], ...layout } = decode(message.layout, known);
    let drag = message.drag;
    if (message.theme) {
      template = LAB.templates[theme];
      if (message.theme !== theme) {
        const pairs = theme === "dark" ? LAB.toDark : LAB.toLight;
        [data, layout, shapes, drag] = [data, layout, shapes, drag].map((part) => recolour(part, pairs));
      }
    }
    // the handle takes the place of the drawn line of that name; the picture to download gets it back
    this.allShapes = shapes;
    if (drag?.shape) shapes = shapes.filter((s) => s.name !== drag.shape);
    this.data = data;
    this.layout = { ...layout, template, shapes };
    this.handle.set(drag);
    this.brush.set(message.brush);
    this.fresh = false;
  }

  arranged() {
    const width = Math.round(this.plot.clientWidth);
    const height = Math.round(this.plot.clientHeight);
    const narrow = width < 480;
    const clear = "rgba(0,0,0,0)";
    const layout = { ...this.layout, width, height, autosize: false, paper_bgcolor: clear, plot_bgcolor: clear };
    layout.uirevision ??= "keep";
    layout.font = { ...layout.font, family: getComputedStyle(this.root).fontFamily };
    layout.margin = { l: 10, r: 14, b: 10, pad: 0, ...layout.margin, t: layout.showlegend === false ? 10 : 30 };
    for (const name of Object.keys({ xaxis: 1, yaxis: 1, ...layout }).filter((n) => /^[xy]axis\d*$/.test(n))) {
      layout[name] = { ...layout[name], uirevision: `${layout[name]?.uirevision ?? layout.uirevision}/${this.zooms}` };
      if (this.held[name]) layout[name] = { ...layout[name], range: [...this.held[name]], autorange: false };
      if (narrow && name[0] === "x") layout[name].nticks ??= 6;
    }
    // a copy: Plotly writes the camera that somebody turned into the scene's own
    if (layout.scene) layout.scene = { ...structuredClone(layout.scene), uirevision: `${layout.uirevision}/${this.zooms}` };
    // what only a wide chart has room for; the page says it in words as well
    if (narrow && layout.annotations) layout.annotations = layout.annotations.filter((note) => note.name !== "wide");
    if (narrow) layout.legend = { ...layout.legend, font: { size: 11.5, ...layout.legend?.font } };
    // a finger on a narrow chart wants to scroll the page
    if (matchMedia("(pointer: coarse)").matches || this.message.select) layout.dragmode = layout.dragmode ?? false;
    return layout;
  }

  schedule() {
    if (this.waiting || !this.message || !this.seen) return;
    const same = this.drawn && !this.fresh && this.width === this.plot.clientWidth && this.height === this.plot.clientHeight;
    if (same && this.shownZooms === this.zooms) return;
    if (this.busyDragging()) return; // pointerup calls again
    this.waiting = true;
    inTurn(() => this.render().finally(() => {
      this.waiting = false;
      this.schedule();
    }));
  }

  busyDragging() {
    return Boolean(this.gd._dragging && this.drawn);
  }

  async render() {
    if (!this.plot.clientWidth || !this.plot.clientHeight) {
      this.seen = false; // hidden, in another tab say: the observer tells when it shows
      return;
    }
    if (this.message.layout.scene && !hasWebGL()) {
      this.say(this.message.layout.meta?.no_webgl ?? "This browser draws no surfaces (WebGL is off).");
      [this.width, this.height, this.shownZooms, this.fresh] = [this.plot.clientWidth, this.plot.clientHeight, this.zooms, false];
      this.drawn = false;
      this.seen = false;
      return;
    }
    let Plotly;
    try {
      Plotly = await loadPlotly(this.message.plotly);
    } catch {
      this.say("The chart library could not be loaded. Check the connection to the server; the next update tries again.");
      this.seen = false;
      return;
    }
    if (this.gone || this.busyDragging()) return;
    try {
      if (this.fresh) this.prepare();
      const layout = this.arranged();
      [this.width, this.height, this.shownZooms] = [layout.width, layout.height, this.zooms];
      const config = { displayModeBar: false, displaylogo: false, responsive: false, doubleClick: false, scrollZoom: false, showTips: false };
      // copies: Plotly writes a click in the legend into its traces, and drawn again those would count as the server's wish
      const data = this.data.map((trace) => ({ ...trace }));
      await Plotly.react(this.gd, data, layout, config);
      if (!this.drawn) {
        this.listen(Plotly);
        this.handle.place(this.gd); // from now on with every plotly_afterplot
        this.brush.place(this.gd);
      }
      this.drawn = true;
      this.say("");
      this.rehover(Plotly);
    } catch (error) {
      console.error("chart", error);
      this.drawn = true; // do not try the same message in every frame
      this.say("This chart could not be drawn.");
    }
  }

  listen(Plotly) {
    this.Plotly = Plotly;
    const { gd } = this;
    gd.on("plotly_afterplot", () => {
      this.handle.place(gd);
      this.brush.place(gd);
    });
    gd.on("plotly_relayouting", () => this.handle.place(gd));
    gd.on("plotly_relayout", (change) => {
      for (const key of Object.keys(change)) {
        if (key.startsWith("scene.camera")) this.resetButton.hidden = false; // where it turned to, Plotly keeps itself
        const name = /^([xy]axis\d*)\.range/.exec(key)?.[1];
        if (!name) continue;
        this.held[name] = [...gd._fullLayout[name].range];
        this.resetButton.hidden = false;
      }
      this.handle.place(gd);
    });
    gd.on("plotly_doubleclick", () => this.reset());
    gd.on("plotly_hover", (e) => { if (e.event) this.pointer = e.event; });
    gd.addEventListener("mouseleave", () => { this.pointer = null; });
    gd.on("plotly_click", (e) => this.pick(e));
  }

  /** A redraw takes the hover label down; put it back where the pointer still is. */
  rehover(Plotly) {
    if (!this.pointer || !this.gd.matches(":hover") || this.gd._dragging) return;
    try {
      Plotly.Fx.hover(this.gd, this.pointer, "xy");
    } catch { /* nothing under the pointer any more */ }
  }

  pick(event) {
    if (!this.message.select || !event.points?.length) return;
    const p = event.points[0];
    const plain = (v) => (ArrayBuffer.isView(v) ? Array.from(v) : v ?? null);
    this.tell("select", { trace: p.curveNumber, name: p.data.name ?? "", index: p.pointIndex ?? null, x: plain(p.x), y: plain(p.y), customdata: plain(p.customdata) });
  }

  reset() {
    this.zooms += 1;
    this.held = {};
    this.resetButton.hidden = true;
    this.schedule();
  }

  async picture(format) {
    if (!this.drawn || !this.Plotly) return;
    const { drag } = this.handle;
    const shapes = this.allShapes.map((s) => (drag && s.name === drag.shape ? this.moved(s, drag) : s));
    await saveImage(this.Plotly, this.gd, this.head, shapes, LAB.colours[this.theme], format);
  }

  moved(shape, drag) {
    const shown = drag.log10 ? Math.log10(this.handle.value) : this.handle.value;
    const sign = drag.mirror && shape[`${drag.axis}0`] < 0 ? -1 : 1;
    return { ...shape, [`${drag.axis}0`]: sign * shown, [`${drag.axis}1`]: sign * shown };
  }

  say(text) {
    this.note.textContent = text;
    this.note.classList.toggle("on", Boolean(text));
  }

  destroy() {
    this.gone = true;
    this.eye.disconnect();
    this.ruler.disconnect();
    document.removeEventListener("pointerup", this.free);
    if (this.drawn) this.Plotly?.purge(this.gd);
    this.root.remove();
  }
}

const charts = new WeakMap();

/** Called by the stub for every message. Returns what Streamlit calls when the element is taken away. */
export function draw({ parentElement: host, setTriggerValue }, message) {
  let chart = charts.get(host);
  if (!chart) charts.set(host, (chart = new Chart(host)));
  chart.update(message, setTriggerValue);
  return () => setTimeout(() => {
    // also called for an update that a newer one overtook: only a host that is gone takes its chart along
    if (host.isConnected) return;
    chart.destroy();
    charts.delete(host);
  }, 0);
}
