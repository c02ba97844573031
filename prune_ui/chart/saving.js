// What a visitor takes away: the picture, and the table behind it.

function download(name, href) {
  const link = document.createElement("a");
  link.href = href;
  link.download = name;
  link.click();
}

function slug(text) {
  return plainText(text).toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "").slice(0, 60) || "chart";
}

function plainText(text) {
  return String(text ?? "").replace(/<br\s*\/?>/gi, " ").replace(/<[^>]*>/g, "").replace(/&amp;/g, "&").replace(/&lt;/g, "<").trim();
}

const cell = (v) => {
  if (v === null || v === undefined || Number.isNaN(v)) return "";
  // a float32 printed in full shows digits that nobody measured
  const text = typeof v === "number" ? String(Number.isInteger(v) ? v : Number(v.toPrecision(7))) : plainText(v);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const same = (a, b) => a.length === b.length && a.every((v, i) => v === b[i]);

/** The visible traces as CSV: one row an x where all share it, one row a point otherwise, one row a cell for maps. */
function tableOf(gd) {
  const axis = (name, fallback) => plainText((gd._fullLayout.scene?.[name] ?? gd._fullLayout[name])?.title?.text) || fallback;
  const x = axis("xaxis", "x");
  const y = axis("yaxis", "y");
  const shown = gd._fullData.filter((t) => t.visible === true && t.meta?.table !== false);
  const rows = [];
  const maps = shown.filter((t) => ["heatmap", "contour", "surface"].includes(t.type));
  for (const t of maps) {
    rows.push([x, y, t.name && !/^trace \d+$/.test(t.name) ? t.name : "value"]);
    t.z.forEach((line, r) => Array.from(line).forEach((v, c) => rows.push([t.x?.[c] ?? c, t.y?.[r] ?? r, v])));
  }
  const lines = shown.filter((t) => !maps.includes(t) && t.x && t.y).map((t) => {
    const flat = t.orientation === "h";
    if (t.meta?.table === "complement") t = { name: t.name, x: Array.from(t.x, (v) => 1 - v), y: t.y };
    return { name: t.name || y, at: Array.from(flat ? t.y : t.x), value: Array.from(flat ? t.x : t.y), key: flat ? y : x, height: t.z && Array.from(t.customdata ?? t.z) };
  });
  if (lines.some((t) => t.height)) {
    rows.push(["series", x, y, axis("zaxis", "z")]);
    for (const t of lines) t.at.forEach((v, i) => rows.push([t.name, v, t.value[i], t.height?.[i]]));
  } else if (lines.length && lines.every((t) => same(t.at, lines[0].at))) {
    const names = lines.length === 1 ? [lines[0].key === x ? y : x] : lines.map((t) => t.name);
    rows.push([lines[0].key, ...names]);
    lines[0].at.forEach((v, i) => rows.push([v, ...lines.map((t) => t.value[i])]));
  } else if (lines.length) {
    rows.push(["series", x, y]);
    for (const t of lines) t.at.forEach((v, i) => rows.push(t.key === x ? [t.name, v, t.value[i]] : [t.name, t.value[i], v]));
  }
  return rows.map((row) => row.map(cell).join(",")).join("\n") + "\n";
}

function saveTable(gd, title) {
  const url = URL.createObjectURL(new Blob(["\ufeff", tableOf(gd)], { type: "text/csv;charset=utf-8" }));
  download(`${slug(title)}.csv`, url);
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** As on the page, zoom and hidden lines included, with its title and on the theme's background, at twice the size. */
async function saveImage(Plotly, gd, head, shapes, { background, muted }, format = "png") {
  const { width, height } = gd._fullLayout;
  // in one text: Plotly keeps a wide gap above a subtitle
  const below = head?.subtitle?.text;
  const text = (head?.text ?? "") + (below ? `<br><span style="font-size:13px;font-weight:400;color:${muted}">${below}</span>` : "");
  const title = { text, automargin: false, yref: "container", yanchor: "top", y: 1 - 32 / (height + 64) };
  const layout = {
    ...gd.layout, title, shapes, width: Math.max(width, 480), height: height + 64,
    paper_bgcolor: background, plot_bgcolor: background, margin: { ...gd.layout.margin, t: 88, l: 24, r: 24, b: 18 },
  };
  const url = await Plotly.toImage({ data: gd.data, layout }, { format, scale: format === "svg" ? 1 : 2, width: layout.width, height: layout.height });
  download(`${slug(head?.text)}.${format}`, url);
}
