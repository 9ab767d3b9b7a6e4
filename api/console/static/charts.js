/* Small charts, drawn as nodes: nothing of them is text that could be read as markup. */

const SPACE = "http://www.w3.org/2000/svg";

export function svg(name, attributes = {}, ...children) {
  const made = document.createElementNS(SPACE, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

/** A share of one as a bar; the number stands beside it in words. */
export function bar(share) {
  const width = Math.max(0, Math.min(1, share)) * 100;
  return svg("svg", { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" },
    svg("rect", { class: "trough", width: 100, height: 6 }), svg("rect", { class: "fill", width, height: 6 }));
}

/**
 * Columns by day, up to two beside each other. `series`: {name, values} each; `labels` name the days. The figures stand in
 * a table for those who can't see it, which the caller adds.
 */
export function columns(labels, series, { title }) {
  const [width, height, left, bottom] = [innerWidth < 760 ? 340 : 900, 190, 34, 20];
  const most = nice(Math.max(1, ...series.flatMap(({ values }) => values)));
  const step = (width - left) / labels.length;
  const room = height - bottom - 8;
  const y = (value) => 8 + room - (value / most) * room;
  const chart = svg("svg", { class: "chart", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": title });
  for (const part of [0, 0.5, 1]) {
    chart.append(svg("line", { class: "grid", x1: left, x2: width, y1: y(most * part), y2: y(most * part) }));
    chart.append(svg("text", { x: left - 6, y: y(most * part) + 4, "text-anchor": "end" }, short(most * part)));
  }
  const thick = Math.min(18, (step * 0.8) / series.length);
  labels.forEach((label, day) => {
    const middle = left + step * (day + 0.5);
    series.forEach(({ name, values }, index) => {
      const x = middle + (index - series.length / 2) * thick;
      const column = svg("rect", { class: `series-${index}`, x, width: Math.max(1, thick - 1), y: y(values[day]), height: Math.max(0, y(0) - y(values[day])), rx: 1.5 });
      column.append(svg("title", {}, `${label}: ${values[day]} ${name}`));
      chart.append(column);
    });
    const every = Math.ceil(labels.length / 7);
    if (day % every === 0) chart.append(svg("text", { x: middle, y: height - 4, "text-anchor": "middle" }, label));
  });
  return chart;
}

/** The next number that is round. */
function nice(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return ([1, 2, 5, 10].find((factor) => factor * power >= value) ?? 10) * power;
}

const short = (value) => (value >= 1000 ? `${value / 1000}k` : String(value));
