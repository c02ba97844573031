// Parts of upright axes to keep: drag along one, and what lies beside the others is left out; a click takes it back.
// The axes stand at x = 0, 1, 2, ... of the plot; y is in data units.

const REACH = 22; // px beside an axis that still mean it

class Brush {
  constructor(plot, send) {
    this.plot = plot;
    this.send = send; // (axis, low, high) => void; low and high are null to keep all
    this.count = 0;
    this.box = document.createElement("div");
    this.box.className = "lab-brush";
    this.box.hidden = true;
    plot.appendChild(this.box);
    this.over = document.createElement("div");
    this.over.className = "lab-brushes";
    this.over.hidden = true;
    this.over.addEventListener("pointerdown", (e) => this.grab(e));
    this.over.addEventListener("pointermove", (e) => { this.over.style.cursor = this.nearest(e) === null ? "" : "ns-resize"; });
    plot.appendChild(this.over);
  }

  set(count) {
    this.count = count || 0;
    this.over.hidden = !this.count;
  }

  /** Called after every draw: cover the plot with its axes. */
  place(gd) {
    this.gd = gd;
    const layout = gd._fullLayout;
    if (!this.count || !layout?.xaxis) return;
    const { xaxis, yaxis } = layout;
    Object.assign(this.over.style, {
      left: `${xaxis._offset - REACH}px`, width: `${xaxis._length + 2 * REACH}px`,
      top: `${yaxis._offset}px`, height: `${yaxis._length}px`,
    });
  }

  at(event) {
    const box = this.plot.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest(event) {
    const { xaxis } = this.gd._fullLayout;
    const [x] = this.at(event);
    const axis = Math.round(xaxis.p2d(x - xaxis._offset));
    if (axis < 0 || axis >= this.count) return null;
    return Math.abs(xaxis._offset + xaxis.d2p(axis) - x) <= REACH ? axis : null;
  }

  grab(event) {
    if (event.button || !this.gd) return;
    const axis = this.nearest(event);
    if (axis === null) return;
    event.preventDefault();
    this.over.setPointerCapture(event.pointerId);
    const { xaxis, yaxis } = this.gd._fullLayout;
    const from = this.at(event)[1];
    let to = from;
    const middle = xaxis._offset + xaxis.d2p(axis);
    const draw = () => {
      const [low, high] = [Math.min(from, to), Math.max(from, to)];
      Object.assign(this.box.style, { left: `${middle - 7}px`, width: "14px", top: `${low}px`, height: `${high - low}px` });
      this.box.hidden = high - low < 4;
    };
    const move = (e) => {
      to = clamp(this.at(e)[1], yaxis._offset, yaxis._offset + yaxis._length);
      draw();
    };
    const stop = (e) => {
      this.over.removeEventListener("pointermove", move);
      this.over.removeEventListener("pointerup", stop);
      this.over.removeEventListener("pointercancel", stop);
      this.box.hidden = true;
      if (e.type !== "pointerup") return;
      if (Math.abs(to - from) < 4) return this.send(axis, null, null);
      const [a, b] = [from, to].map((v) => yaxis.p2d(v - yaxis._offset));
      this.send(axis, Math.min(a, b), Math.max(a, b));
    };
    this.over.addEventListener("pointermove", move);
    this.over.addEventListener("pointerup", stop);
    this.over.addEventListener("pointercancel", stop);
  }
}
