// A line one can take by a grip: pointer, touch or arrow keys. It lies above the plot, so that moving it redraws nothing.

const clamp = (v, low, high) => Math.min(Math.max(v, low ?? -Infinity), high ?? Infinity);

function number(v) {
  if (v === 0) return "0";
  const size = Math.abs(v);
  return size >= 1e5 || size < 1e-4 ? String(Number(v.toPrecision(3)).toExponential()).replace("e+", "e") : String(Number(v.toPrecision(3)));
}

class Handle {
  constructor(plot, send) {
    this.plot = plot;
    this.send = send; // (value, final, row) => void
    this.lines = [];
    this.rest = []; // a mark for each row that could be taken; the one in hand is hidden
    this.held = null; // a value let go here that the server has not answered yet
    this.dragging = false;
    this.shade = this.add("lab-shade");
    this.chip = this.add("lab-chip");
    this.dot = this.add("lab-dot-now");
  }

  add(name) {
    const node = document.createElement("div");
    node.className = name;
    this.plot.appendChild(node);
    return node;
  }

  /** New settings from the server, or none. */
  set(drag) {
    // a row that is in hand here is newer than the message
    const kept = (this.dragging || this.held) && drag?.rows?.[this.row];
    if (kept) drag = { ...drag, ...kept };
    else this.row = drag?.row;
    this.drag = drag;
    if (this.held && drag && (drag.value !== this.held.before || drag.value === this.held.value)) this.held = null; // the server has taken it up
    this.mark(drag?.rows ?? []);
    const wanted = drag ? (drag.mirror ? 2 : 1) : 0;
    while (this.lines.length > wanted) Object.values(this.lines.pop()).forEach((n) => n.remove?.());
    while (this.lines.length < wanted) this.lines.push(this.line(this.lines.length ? -1 : 1));
    for (const node of [this.shade, this.chip, this.dot]) node.style.display = drag ? "" : "none";
    if (!drag) return;
    this.plot.style.setProperty("--lab-drag", drag.color);
    for (const { line, hit, grip } of this.lines) {
      line.className = `lab-line ${drag.axis}`;
      hit.className = `lab-hit ${drag.axis}`;
      grip.className = `lab-grip ${drag.axis}${grip === this.lines[0].grip ? "" : " mirror"}`;
    }
    const grip = this.lines[0].grip;
    grip.setAttribute("aria-label", drag.label || "Threshold");
    grip.setAttribute("aria-orientation", drag.axis === "x" ? "horizontal" : "vertical");
    if (drag.min !== null && drag.min !== undefined) grip.setAttribute("aria-valuemin", drag.min);
    if (drag.max !== null && drag.max !== undefined) grip.setAttribute("aria-valuemax", drag.max);
  }

  /** A mark for each of the rows, to be taken in one go. */
  mark(rows) {
    while (this.rest.length > rows.length) this.rest.pop().remove();
    while (this.rest.length < rows.length) {
      const node = this.add("lab-rest");
      const row = this.rest.push(node) - 1;
      node.addEventListener("pointerdown", (e) => {
        if (e.button || this.dragging) return;
        clearTimeout(this.typing); // it would be told as this row's
        this.held = null;
        this.set({ ...this.drag, ...this.drag.rows[row], row });
        this.place();
        this.grab(e, 1, this.lines[0].grip, true);
      });
    }
    rows.forEach(({ label, value }, row) => { this.rest[row].title = this.words(value, label); });
  }

  line(sign) {
    const parts = { sign, line: this.add("lab-line"), hit: this.add("lab-hit"), grip: this.add("lab-grip") };
    if (sign > 0) {
      parts.grip.tabIndex = 0;
      parts.grip.setAttribute("role", "slider");
      parts.grip.addEventListener("keydown", (e) => this.key(e));
    }
    for (const node of [parts.hit, parts.grip]) {
      node.addEventListener("pointerdown", (e) => this.grab(e, sign, node));
    }
    return parts;
  }

  get value() {
    if (this.dragging) return this.current;
    if (this.held && performance.now() > this.held.until) this.held = null;
    return this.held ? this.held.value : this.drag?.value;
  }

  axis() {
    return this.gd?._fullLayout?.[this.drag.axis + "axis"];
  }

  /** The value's pixel along its axis, from the plot's edge; the axis may show the logarithm of the value. */
  pixel(value) {
    const ax = this.axis();
    return ax._offset + ax.d2p(this.drag.log10 ? Math.log10(value) : value);
  }

  at(pixel) {
    const ax = this.axis();
    const shown = ax.p2d(clamp(pixel - ax._offset, 0, ax._length));
    return this.drag.log10 ? 10 ** shown : shown;
  }

  bounded(value) {
    return clamp(value, this.drag.min, this.drag.max);
  }

  /** Put everything where the value is; called after every redraw and every move. */
  place(gd) {
    if (gd) this.gd = gd;
    if (!this.drag || !this.axis()) return;
    const x = this.gd._fullLayout.xaxis;
    const y = this.gd._fullLayout.yaxis;
    const upright = this.drag.axis === "x";
    const along = upright ? x : y;
    const across = this.reach(upright ? y : x);
    const value = this.value;
    const known = Number.isFinite(value) && (value > 0 || !(this.drag.log10 || along.type === "log"));
    for (const part of this.lines) {
      const raw = known ? this.pixel(part.sign * value) : NaN;
      const inside = raw >= along._offset - 1 && raw <= along._offset + along._length + 1;
      const to = clamp(Number.isNaN(raw) ? along._offset : raw, along._offset, along._offset + along._length);
      part.line.classList.toggle("off", !inside);
      for (const node of Object.values(part)) if (node.style) node.style.display = known ? "" : "none";
      if (upright) {
        Object.assign(part.line.style, { left: `${to}px`, top: `${across._offset}px`, height: `${across._length}px`, width: "", right: "" });
        Object.assign(part.hit.style, { left: `${to}px`, top: `${across._offset}px`, height: `${across._length}px`, width: "" });
        const top = across._offset + (this.drag.span ? (across._length - 26) / 2 : this.drag.grip === "low" ? across._length - 28 : 0);
        Object.assign(part.grip.style, { left: `${to}px`, top: `${top}px` });
      } else {
        Object.assign(part.line.style, { top: `${to}px`, left: `${across._offset}px`, width: `${across._length}px`, height: "" });
        Object.assign(part.hit.style, { top: `${to}px`, left: `${across._offset}px`, width: `${across._length}px`, height: "" });
        const left = across._offset + (this.drag.grip === "low" ? 2 : across._length - 28);
        Object.assign(part.grip.style, { top: `${to}px`, left: `${left}px` });
      }
      if (part.sign > 0) this.label(to, value, known, along, across, upright);
    }
    this.cover(known, value, along, across, upright);
    this.walk(known, value, x, y);
    this.rest.forEach((node, row) => {
      const { span, value: there } = this.drag.rows[row];
      const across = this.reach(upright ? y : x, span);
      node.style.display = row === this.row ? "none" : "";
      node.className = `lab-rest ${this.drag.axis}`;
      const [to, middle] = [`${this.pixel(there)}px`, `${across._offset + across._length / 2}px`];
      Object.assign(node.style, upright ? { left: to, top: middle } : { top: to, left: middle });
    });
  }

  /** How far the line goes across: over the whole plot, or over its own row. */
  reach(ax, span = this.drag.span) {
    if (!span) return { _offset: ax._offset, _length: ax._length };
    const [a, b] = span.map((v) => ax.l2p(v));
    return { _offset: ax._offset + Math.min(a, b), _length: Math.abs(b - a) };
  }

  /** A dot on a line of the chart, between its two nearest points, while the handle moves along it. */
  walk(known, value, x, y) {
    const line = this.dragging && known && this.drag.follow && this.gd._fullData.find((t) => t.name === this.drag.follow);
    const at = line && line.x ? Array.from(line.x).findIndex((v) => v >= value) : -1;
    this.dot.style.display = at < 0 ? "none" : "";
    if (at < 0) return;
    const [x0, x1] = [line.x[Math.max(at - 1, 0)], line.x[at]];
    const [y0, y1] = [line.y[Math.max(at - 1, 0)], line.y[at]];
    const there = x1 > x0 ? y0 + ((value - x0) / (x1 - x0)) * (y1 - y0) : y1;
    Object.assign(this.dot.style, { left: `${x._offset + x.d2p(value)}px`, top: `${y._offset + y.d2p(there)}px` });
  }

  words(value, label) {
    return `${label ? label + " " : ""}${this.drag.percent ? (100 * value).toFixed(1) + " %" : number(value)}${this.drag.unit ? " " + this.drag.unit : ""}`;
  }

  label(to, value, known, along, across, upright) {
    const text = this.words(value, this.drag.label);
    this.chip.textContent = text;
    this.chip.style.display = known ? "" : "none";
    const { offsetWidth: w, offsetHeight: h } = this.chip;
    if (upright) {
      const right = to + 14 + w <= along._offset + along._length;
      Object.assign(this.chip.style, { left: `${right ? to + 12 : to - 12 - w}px`, top: `${across._offset + (this.drag.span ? (across._length - h) / 2 : this.drag.grip === "low" ? across._length - 26 : 3)}px` });
    } else {
      const above = to - h - 4 >= along._offset;
      Object.assign(this.chip.style, { left: `${across._offset + across._length - w - 36}px`, top: `${above ? to - h - 3 : to + 3}px` });
    }
    const grip = this.lines[0].grip;
    grip.setAttribute("aria-valuenow", value);
    grip.setAttribute("aria-valuetext", text);
  }

  /** While it moves: the side it acts on. */
  cover(known, value, along, across, upright) {
    const side = this.drag.shade;
    const edge = (v) => clamp(this.pixel(v) - along._offset, 0, along._length);
    this.shade.style.display = known && side ? "" : "none";
    if (!known || !side) return;
    const last = along._length;
    let [a, b] = { between: () => [edge(-value), edge(value)], below: () => [upright ? 0 : last, edge(value)], above: () => [edge(value), upright ? last : 0] }[side]();
    [a, b] = [Math.min(a, b), Math.max(a, b)];
    const box = upright
      ? { left: along._offset + a, width: b - a, top: across._offset, height: across._length }
      : { top: along._offset + a, height: b - a, left: across._offset, width: across._length };
    for (const [k, v] of Object.entries(box)) this.shade.style[k] = `${v}px`;
  }

  /** From here on the line follows the pointer; `taken`: it was another row's before, which counts without a move. */
  grab(event, sign, node, taken = false) {
    if (event.button || !this.axis()) return;
    event.preventDefault();
    event.stopPropagation();
    node.setPointerCapture(event.pointerId);
    if (sign > 0 || this.drag.mirror) this.lines[0].grip.focus({ preventScroll: true });
    this.current = this.value;
    this.dragging = true;
    this.plot.classList.add("dragging");
    const upright = this.drag.axis === "x";
    const origin = this.plot.getBoundingClientRect();
    const slip = (upright ? event.clientX - origin.left : event.clientY - origin.top) - this.pixel(sign * this.value);
    let moved = taken;
    const move = (e) => {
      const box = this.plot.getBoundingClientRect();
      const raw = this.at((upright ? e.clientX - box.left : e.clientY - box.top) - (Math.abs(slip) < 30 ? slip : 0));
      this.current = this.bounded(sign * raw);
      moved = true;
      this.place();
      if (this.drag.live) this.report(false);
    };
    const stop = (e) => {
      node.removeEventListener("pointermove", move);
      node.removeEventListener("pointerup", stop);
      node.removeEventListener("pointercancel", stop);
      this.dragging = false;
      this.plot.classList.remove("dragging");
      if (moved && e.type === "pointerup") this.report(true);
      this.place();
      this.released?.();
    };
    node.addEventListener("pointermove", move);
    node.addEventListener("pointerup", stop);
    node.addEventListener("pointercancel", stop);
  }

  key(event) {
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10 };
    const { min, max } = this.drag;
    const ax = this.axis();
    if (!ax) return;
    let value = this.value;
    if (event.key in steps) {
      // one step is a hundredth of what is in view: even on a logarithmic axis
      const pixels = (steps[event.key] * (event.shiftKey ? 10 : 1) * ax._length) / 100;
      value = this.at(this.pixel(value) + (this.drag.axis === "x" ? pixels : -pixels));
    } else if (event.key === "Home" && Number.isFinite(min)) value = min;
    else if (event.key === "End" && Number.isFinite(max)) value = max;
    else return;
    event.preventDefault();
    this.current = this.bounded(value);
    this.hold();
    this.place();
    clearTimeout(this.typing);
    this.typing = setTimeout(() => this.report(true), 250);
  }

  hold() {
    this.held = { value: this.current, before: this.drag.value, until: performance.now() + 4000 };
  }

  /** Tell the server: at once when let go, at most every 120 ms while moving. */
  report(final) {
    const now = performance.now();
    clearTimeout(this.later);
    if (!final && now - (this.told ?? 0) < 120) {
      this.later = setTimeout(() => this.dragging && this.report(false), 120);
      return;
    }
    this.told = now;
    if (final) {
      this.hold();
      setTimeout(() => this.place(), 4100); // a value that was refused goes back
    }
    this.send(Number(this.current.toPrecision(6)), final, this.row);
  }
}
