// Elements are built from nodes and text, never from markup: what a caller said cannot become part of the page.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(node.style, value); // through the object model: the policy allows no style attributes
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const child of children.flat(3)) if (child !== null && child !== undefined && child !== false) node.append(child);
  return node;
}
const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const g = (tag, attributes, ...children) => fill(document.createElementNS(SVG, tag), attributes, children);

let language = (navigator.language || "fr").startsWith("fr") ? "fr" : "en";
const t = (key, ...values) => {
  const text = WORDS[language][key];
  return text === undefined ? key : text.replace(/\{(\d+)\}/g, (_, index) => values[index]);
};
const quoted = (text) => `«\u00a0${text}\u00a0»`;
const number = (value, digits = 0) =>
  value === null || value === undefined ? "–" : new Intl.NumberFormat(language, { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
const rate = (cell) => number(cell.calls_per_100, cell.calls && cell.calls_per_100 < 10 ? 1 : 0);
const share = (value) => (value === null ? "–" : number(100 * value) + " %");
const small = (value) => (value < 0.0001 ? value.toExponential(0) : number(value, 4));
const clock = (seconds) => {
  const whole = Math.floor(seconds + 0.0005);
  const parts = [Math.floor(whole / 60) % 60, whole % 60].map((part) => String(part).padStart(2, "0"));
  return (whole >= 3600 ? Math.floor(whole / 3600) + ":" : "") + parts.join(":");
};
const long = (seconds) => (seconds < 90 ? number(seconds, seconds < 10 ? 1 : 0) + " s" : seconds < 5400 ? number(seconds / 60) + " min" : number(seconds / 3600, 1) + " h");
const date = (day) => new Intl.DateTimeFormat(language, { day: "numeric", month: "short", year: "numeric", timeZone: "UTC" }).format(new Date(day + "T00:00:00Z"));
const valueName = (column, value) => (value === null ? t("none") : column === "weekday" ? WORDS[language].days[value - 1] : column === "hour" ? value + " h" : value);
const columnName = (column) => (WORDS[language][column] === undefined ? column : t(column));

// 95 % Wilson interval, in calls per 100: the days that the page adds up itself.
function wilson(calls, of) {
  const z = 1.959963984540054, p = calls / of, square = z * z;
  const middle = p + square / (2 * of), spread = z * Math.sqrt((p * (1 - p)) / of + square / (4 * of * of)), scale = 1 + square / of;
  return [100 * Math.max(0, (middle - spread) / scale), 100 * Math.min(1, (middle + spread) / scale)];
}

// A rate with its interval on a scale from 0 to `top`.
function bar(cell, top) {
  if (!cell.interval) return g("svg", { "aria-hidden": "true" });
  const x = (value) => Math.min(100, (100 * value) / top) + "%";
  return g("svg", { role: "img", "aria-label": `${number(cell.interval.low, 1)} – ${number(cell.interval.high, 1)}` },
    g("line", { class: "axis", x1: "0", x2: "100%", y1: 9, y2: 9 }),
    g("line", { class: "range", x1: x(cell.interval.low), x2: x(cell.interval.high), y1: 9, y2: 9 }),
    g("circle", { class: "dot", cx: x(cell.calls_per_100), cy: 9, r: 4 }));
}
const scaleOf = (cells) => Math.max(1, ...cells.map((cell) => (cell.interval ? cell.interval.high : 0)));

// Seven days running, from the cells of an issue by day; days without calls are in the window, and add nothing.
function running(cells) {
  const days = cells.filter((cell) => cell.value !== null);
  if (!days.length) return [];
  const byDay = new Map(days.map((cell) => [Date.parse(cell.value + "T00:00:00Z"), cell]));
  const day = 864e5, first = Date.parse(days[0].value + "T00:00:00Z"), last = Date.parse(days[days.length - 1].value + "T00:00:00Z");
  const points = [];
  for (let at = first; at <= last; at += day) {
    let calls = 0, of = 0;
    for (let back = 0; back < 7; back++) {
      const cell = byDay.get(at - back * day);
      if (cell) { calls += cell.calls; of += cell.of; }
    }
    const today = byDay.get(at);
    points.push({ at, day: new Date(at).toISOString().slice(0, 10), today, calls, of, rate: of ? (100 * calls) / of : null, interval: of ? wilson(calls, of) : null });
  }
  return points;
}

function path(points, x, y) {
  let drawn = "", pen = "M";
  for (const point of points) {
    if (point.rate === null) { pen = "M"; continue; }
    drawn += `${pen}${x(point).toFixed(1)},${y(point.rate).toFixed(1)}`;
    pen = "L";
  }
  return drawn;
}

function spark(issue) {
  const points = running(issue.by.day || []);
  if (points.length < 3) return null;
  const top = Math.max(1e-9, ...points.map((point) => point.rate || 0)), alerted = new Set(issue.alerted);
  const x = (point) => 2 + (116 * (point.at - points[0].at)) / (points[points.length - 1].at - points[0].at), y = (value) => 26 - (24 * value) / top;
  return g("svg", { viewBox: "0 0 120 28", "aria-hidden": "true" },
    g("path", { class: "line", d: path(points, x, y) }),
    points.filter((point) => alerted.has(point.day)).map((point) => g("circle", { class: "alarmed", cx: x(point), cy: y(point.rate || 0), r: 2.4 })));
}

function trendChart(issue, width) {
  const points = running(issue.by.day || []);
  if (points.length < 2) return null;
  const height = 230, left = 40, right = 8, bottom = 24, top = 8;
  const daily = points.filter((point) => point.today && point.today.of >= 5);
  const most = Math.max(1, ...points.map((point) => (point.interval && point.of >= 20 ? point.interval[1] : point.rate || 0)), ...daily.map((point) => Math.min(point.today.calls_per_100, 60)));
  const step = [0.5, 1, 2, 5, 10, 20, 25, 50].find((one) => most / one <= 5) || 100, high = Math.min(100, Math.ceil(most / step) * step);
  const span = points[points.length - 1].at - points[0].at;
  const x = (point) => left + ((width - left - right) * (point.at - points[0].at)) / span;
  const y = (value) => height - bottom - ((height - bottom - top) * Math.min(value, high)) / high;
  const banded = points.filter((point) => point.interval);
  const band = banded.map((point, index) => `${index ? "L" : "M"}${x(point).toFixed(1)},${y(point.interval[1]).toFixed(1)}`).join("")
    + banded.slice().reverse().map((point) => `L${x(point).toFixed(1)},${y(point.interval[0]).toFixed(1)}`).join("") + "Z";
  const alerted = new Set(issue.alerted), ticks = [];
  for (let value = 0; value <= high + 1e-9; value += step) {
    ticks.push(g("line", { class: "axis", x1: left, x2: width - right, y1: y(value), y2: y(value) }),
      g("text", { class: "tick", x: left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value, step < 1 ? 1 : 0)));
  }
  const labels = Math.max(1, Math.min(points.length - 1, Math.floor(width / 120))), format = new Intl.DateTimeFormat(language, { day: "numeric", month: "short", timeZone: "UTC" });
  for (let index = 0; index <= labels; index++) {
    const at = points[0].at + Math.round((span / 864e5) * (index / labels)) * 864e5;
    ticks.push(g("text", { class: "tick", x: x({ at }), y: height - 4, "text-anchor": index === 0 ? "start" : index === labels ? "end" : "middle" }, format.format(at)));
  }
  return g("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": t("over_time") },
    ticks, g("path", { class: "band", d: band }),
    daily.map((point) => g("circle", { class: alerted.has(point.day) ? "alarmed" : "day", cx: x(point), cy: y(point.today.calls_per_100), r: alerted.has(point.day) ? 4 : 2.4 },
      g("title", {}, `${date(point.day)} : ${point.today.calls} / ${point.today.of}`))),
    g("path", { class: "line", d: path(points, x, y) }));
}

// The tint of a rate: nothing at 0, full at `top`.
const tint = (value, top) => (value === null ? {} : { background: `rgba(var(--tint), ${(0.06 + 0.62 * Math.min(1, value / (top || 1))).toFixed(3)})` });

// Hour by weekday; cells of fewer than five calls are left pale: their rate says nothing.
function heatMap(of, calls, choose) {
  const hours = [];
  for (let hour = 0; hour < 24; hour++) if (of.some((count, index) => index % 24 === hour && count)) hours.push(hour);
  if (!hours.length) return null;
  const from = hours[0], to = hours[hours.length - 1], known = of.map((count, index) => (count >= 5 ? (100 * calls[index]) / count : null));
  const top = Math.max(1, ...known.filter((value) => value !== null));
  const columns = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return h("div", { class: "scroll" }, h("table", { class: "heat" },
    h("thead", {}, h("tr", {}, h("th", {}), columns.map((hour) => h("th", { scope: "col" }, String(hour))))),
    h("tbody", {}, [0, 1, 2, 3, 4, 5, 6].map((weekday) => h("tr", {}, h("th", { scope: "row" }, WORDS[language].days[weekday]),
      columns.map((hour) => {
        const index = weekday * 24 + hour, value = known[index];
        return h("td", { style: tint(value, top), class: value === null ? "few" : "", title: `${calls[index]} / ${of[index]}` },
          value === null ? (of[index] ? "·" : "") : number(value));
      }))))));
}
