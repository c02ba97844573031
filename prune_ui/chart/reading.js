// From the message to what Plotly takes: typed arrays, colours of the theme in use, the library itself.

const KINDS = {
  i1: Int8Array, u1: Uint8Array, i2: Int16Array, u2: Uint16Array, i4: Int32Array, u4: Uint32Array,
  f4: Float32Array, f8: Float64Array,
};

/** Base64 typed arrays to typed arrays, rows for two dimensions; everything else as it is. `known` are those seen. */
function decode(value, known) {
  if (Array.isArray(value)) return value.map((v) => decode(v, known));
  if (value === null || typeof value !== "object") return value;
  if (typeof value.same === "number") return known[value.same];
  if (typeof value.bdata === "string") {
    const bytes = Uint8Array.from(atob(value.bdata), (c) => c.charCodeAt(0));
    const flat = new KINDS[value.dtype](bytes.buffer);
    const [rows, columns] = (value.shape ?? "").split(",").map(Number);
    const whole = columns ? Array.from({ length: rows }, (_, r) => flat.subarray(r * columns, (r + 1) * columns)) : flat;
    known[value.as] = whole;
    return whole;
  }
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, decode(v, known)]));
}

const HEX = /#[0-9a-f]{6}\b/gi;
const RGBA = /rgba\((\d+),\s*(\d+),\s*(\d+),/g;

/** Every colour of the lab's palette in `value` to its counterpart; `pairs` maps "#rrggbb" to "#rrggbb". */
function recolour(value, pairs) {
  if (typeof value === "string") {
    if (!value.includes("#") && !value.includes("rgba(")) return value;
    return value
      .replace(HEX, (c) => pairs[c.toLowerCase()] ?? c)
      .replace(RGBA, (all, ...rgb) => {
        const hex = pairs["#" + rgb.slice(0, 3).map((c) => Number(c).toString(16).padStart(2, "0")).join("")];
        return hex ? `rgba(${parseInt(hex.slice(1, 3), 16)},${parseInt(hex.slice(3, 5), 16)},${parseInt(hex.slice(5), 16)},` : all;
      });
  }
  if (Array.isArray(value)) return value.map((v) => recolour(v, pairs));
  if (value === null || typeof value !== "object" || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, recolour(v, pairs)]));
}

/** "light" or "dark", by the background Streamlit says it has. */
function themeOf(host) {
  const colour = getComputedStyle(host).getPropertyValue("--st-background-color").trim();
  const hex = /^#([0-9a-f]{6})/i.exec(colour);
  const channels = hex ? [0, 2, 4].map((i) => parseInt(hex[1].slice(i, i + 2), 16)) : (colour.match(/\d+/g) ?? [255, 255, 255]).map(Number);
  return 0.299 * channels[0] + 0.587 * channels[1] + 0.114 * channels[2] < 128 ? "dark" : "light";
}

let library = null;

/** The one copy of plotly.js of this browser window. */
function loadPlotly(url) {
  library ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = url;
    script.onload = () => (window.Plotly ? resolve(window.Plotly) : reject(new Error("no Plotly")));
    script.onerror = () => {
      library = null; // a later message tries again
      script.remove();
      reject(new Error("not loaded"));
    };
    document.head.appendChild(script);
  });
  return library;
}

let webgl = null;

/** Whether this browser draws in three dimensions; asked once, since every try holds a context for a while. */
function hasWebGL() {
  if (webgl === null) {
    const canvas = document.createElement("canvas");
    const context = canvas.getContext("webgl") ?? canvas.getContext("experimental-webgl");
    webgl = Boolean(context);
    context?.getExtension("WEBGL_lose_context")?.loseContext();
  }
  return webgl;
}
