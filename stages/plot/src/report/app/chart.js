// Charts as SVG: lines over training steps, points, matrices.
import { el, svgEl } from "./dom.js";
import { tick, ticks } from "./number.js";

/** A scale from values to pixels; logarithmic ones begin at 0, which is one step left of 1. */
export function scaleOf(domain, range, log = false) {
    const place = (value) => (log ? Math.log10(Math.max(value, 0.5)) : value);
    const [low, high] = domain.map(place);
    const span = high > low ? high - low : 1;
    const scale = (value) => range[0] + (place(value) - low) / span * (range[1] - range[0]);
    scale.invert = (pixel) => {
        const value = low + (pixel - range[0]) / (range[1] - range[0]) * span;
        return log ? 10 ** value : value;
    };
    return scale;
}

/** The range of values, a little wider. */
export function extent(values, pad = 0.05) {
    const known = values.filter((value) => value !== null && value !== undefined && Number.isFinite(value));
    if (known.length === 0) return [0, 1];
    const [low, high] = known.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    const wider = (high - low || Math.abs(high) || 1) * pad;
    return [low - wider, high + wider];
}

function logTicks(high) {
    const found = [0];
    for (let at = 1; at <= high; at *= 10) found.push(at);
    return found;
}

function axes(frame, x, y, { xLabel, yLabel, xTicks, yTicks, grid = true }) {
    const { left, right, top, bottom } = frame;
    const group = svgEl("g", { class: "axes" });
    for (const value of yTicks) {
        if (grid) group.append(svgEl("line", { class: "gridline", x1: left, x2: right, y1: y(value), y2: y(value) }));
        group.append(svgEl("text", { class: "tick", x: left - 6, y: y(value) + 4, "text-anchor": "end" }, tick(value)));
    }
    let last = -Infinity;
    for (const value of xTicks) {
        const at = x(value), text = tick(value);
        group.append(svgEl("line", { class: "axis", x1: at, x2: at, y1: bottom, y2: bottom + 4 }));
        if (at - last < 7 * text.length + 10) continue;
        last = at;
        group.append(svgEl("text", { class: "tick", x: at, y: bottom + 17, "text-anchor": "middle" }, text));
    }
    group.append(svgEl("line", { class: "axis", x1: left, x2: right, y1: bottom, y2: bottom }));
    if (xLabel) group.append(svgEl("text", { class: "label", x: (left + right) / 2, y: bottom + 34, "text-anchor": "middle" }, xLabel));
    if (yLabel) group.append(svgEl("text", { class: "label", x: left - 6, y: top - 9 }, yLabel));
    return group;
}

/** An SVG of these sizes, with a title that screen readers say. */
export function drawing(width, height, title) {
    return svgEl("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": title, class: "chart" });
}

/** Where the label of a mark goes: to its right, to its left, or against the right edge, as far as there is room. */
export function labelPlace(at, label, { left, right }) {
    const width = 6.6 * label.length;
    if (at + 4 + width <= right) return { x: at + 4, anchor: "start" };
    return at - 4 - width >= left ? { x: at - 4, anchor: "end" } : { x: right, anchor: "end" };
}

/**
 * Lines over steps. `lines`: `{ points: [[x, y]], color, width, dash, faint, name, label, band: [[x, low, high]] }`. Returns the
 * SVG, with `cursor(x)`, which moves the mark, and its `scales`.
 */
export function lineChart({ width, height, title, xLabel = "training step", yLabel, log = false, lines, marks = [], baseline, cursor, yDomain }) {
    const labels = lines.filter((line) => line.label);
    const room = labels.length ? Math.min(130, 12 + 7 * Math.max(...labels.map((line) => line.label.length))) : 14;
    const frame = { left: 50, right: width - room, top: 26, bottom: height - (xLabel ? 40 : 24) };
    const xs = lines.flatMap((line) => line.points.map(([x]) => x));
    const ys = lines.flatMap((line) => [...line.points.map(([, y]) => y), ...(line.band ?? []).flatMap(([, low, high]) => [low, high])]);
    if (baseline) ys.push(baseline.value);
    const xDomain = [xs.reduce((a, b) => Math.min(a, b), Infinity), xs.reduce((a, b) => Math.max(a, b), -Infinity)];
    const yRange = yDomain ?? extent(ys);
    const x = scaleOf(Number.isFinite(xDomain[0]) ? xDomain : [0, 1], [frame.left, frame.right], log);
    const y = scaleOf(yRange, [frame.bottom, frame.top]);
    const svg = drawing(width, height, title);
    svg.append(axes(frame, x, y, {
        xLabel: xLabel && (log ? `${xLabel} (log scale)` : xLabel), yLabel,
        xTicks: log ? logTicks(xDomain[1]) : ticks(...xDomain, Math.max(2, Math.floor((frame.right - frame.left) / 90))),
        yTicks: ticks(...yRange, Math.max(2, Math.floor((frame.bottom - frame.top) / 38))),
    }));
    // Below the name of a baseline that is near the top.
    const below = baseline && y(baseline.value) < frame.top + 24 ? y(baseline.value) - frame.top + 4 : 0;
    for (const mark of marks) {
        const place = labelPlace(x(mark.x), mark.label, frame);
        svg.append(svgEl("g", { class: "onset" },
            mark.low !== undefined && svgEl("rect", { x: x(mark.low), width: Math.max(1, x(mark.high) - x(mark.low)), y: frame.top, height: frame.bottom - frame.top }),
            svgEl("line", { x1: x(mark.x), x2: x(mark.x), y1: frame.top, y2: frame.bottom }),
            svgEl("text", { class: "note", x: place.x, y: frame.top + 11 + 14 * (mark.row ?? 0) + below, "text-anchor": place.anchor }, mark.label)));
    }
    if (baseline) {
        svg.append(svgEl("line", { class: "baseline", x1: frame.left, x2: frame.right, y1: y(baseline.value), y2: y(baseline.value) }),
            svgEl("text", { class: "note", x: frame.right - 4, y: y(baseline.value) - 4, "text-anchor": "end" }, baseline.label));
    }
    const path = (points) => {
        let text = "", pen = "M";
        for (const [at, value] of points) {
            if (value === null || value === undefined) { pen = "M"; continue; }
            text += `${pen}${x(at).toFixed(1)} ${y(value).toFixed(1)}`;
            pen = "L";
        }
        return text;
    };
    for (const line of lines.filter((line) => line.band?.length > 1)) {
        const edge = [...line.band.map(([at, low]) => [at, low]), ...line.band.toReversed().map(([at, , high]) => [at, high])];
        svg.append(svgEl("path", { class: "band", d: `${path(edge)}Z`, fill: line.color }));
    }
    const ends = [];
    for (const line of lines) {
        const shape = svgEl("path", { class: line.faint ? "line faint" : "line", d: path(line.points), stroke: line.color, "stroke-width": line.width ?? 2, "stroke-dasharray": line.dash, "data-name": line.name });
        if (line.name) shape.append(svgEl("title", {}, line.name));
        svg.append(shape);
        if (line.points.length === 1 && line.points[0][1] !== null) svg.append(svgEl("circle", { cx: x(line.points[0][0]), cy: y(line.points[0][1]), r: 3, fill: line.color }));
        const last = line.points.findLast(([, value]) => value !== null && value !== undefined);
        if (line.label && last) ends.push({ at: y(last[1]), line });
    }
    ends.sort((one, other) => one.at - other.at);
    ends.forEach((end, at) => { end.at = Math.max(end.at, at ? ends[at - 1].at + 14 : frame.top); });
    for (let at = ends.length - 1, limit = frame.bottom; at >= 0; at -= 1) { ends[at].at = Math.min(ends[at].at, limit); limit = ends[at].at - 14; }
    for (const { at, line } of ends) svg.append(svgEl("text", { class: "note", x: frame.right + 6, y: at + 4, style: `fill:${line.color}` }, line.label));
    const mark = svgEl("g", { class: "cursor" }, svgEl("line", { y1: frame.top, y2: frame.bottom }));
    svg.append(mark);
    svg.cursor = (step) => mark.setAttribute("transform", `translate(${x(step).toFixed(1)} 0)`);
    if (cursor !== undefined && cursor !== null) svg.cursor(cursor);
    else mark.remove();
    return Object.assign(svg, { scales: { x, y } });
}

/** A line without axes, for a cell of a table; `cursor(x)` moves its mark. */
export function sparkline(points, { width = 110, height = 22, color, title, baseline, log = false }) {
    const svg = drawing(width, height, title);
    svg.classList.add("spark");
    const steps = points.map(([at]) => at);
    const x = scaleOf([Math.min(...steps), Math.max(...steps)], [2, width - 2], log);
    const values = points.map(([, value]) => value);
    const y = scaleOf(extent(baseline === undefined || baseline === null ? values : [...values, baseline], 0.04), [height - 2, 2]);
    if (baseline !== undefined && baseline !== null) svg.append(svgEl("line", { class: "baseline", x1: 0, x2: width, y1: y(baseline), y2: y(baseline) }));
    const known = points.filter(([, value]) => value !== null && value !== undefined);
    svg.append(svgEl("path", { class: "line", stroke: color ?? "currentColor", "stroke-width": 1.5, d: known.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("") }));
    const dot = svgEl("circle", { r: 3, class: "dot", cx: -9, cy: 0 });
    svg.append(dot);
    svg.cursor = (step) => {
        const found = known.find(([at]) => at === step);
        if (found) { dot.setAttribute("cx", x(found[0]).toFixed(1)); dot.setAttribute("cy", y(found[1]).toFixed(1)); }
    };
    return svg;
}

/** Points of `[x, y, color, text]`. */
export function scatterChart({ width, height, title, xLabel, yLabel, points }) {
    const frame = { left: 50, right: width - 14, top: 26, bottom: height - 40 };
    const [xs, ys] = [0, 1].map((which) => extent(points.map((point) => point[which])));
    const x = scaleOf(xs, [frame.left, frame.right]), y = scaleOf(ys, [frame.bottom, frame.top]);
    const svg = drawing(width, height, title);
    svg.append(axes(frame, x, y, { xLabel, yLabel, xTicks: ticks(...xs, Math.max(2, width / 110)), yTicks: ticks(...ys, 6) }));
    for (const [at, value, color, text] of points) {
        svg.append(svgEl("circle", { class: "point", cx: x(at).toFixed(1), cy: y(value).toFixed(1), r: 4, fill: color }, svgEl("title", {}, text)));
    }
    return svg;
}

/** A matrix of coloured cells: `cells[row][column]` is `{ color, text, title, strong }` or null. */
export function matrixChart({ title, rows, columns, cells, size = 46, left = 60, top = 60, rotate = false, wide = size }) {
    const width = left + columns.length * wide + 10, height = top + rows.length * size + 10;
    const svg = drawing(width, height, title);
    columns.forEach((text, at) => {
        const x = left + (at + 0.5) * wide;
        svg.append(rotate
            ? svgEl("text", { class: "tick", x, y: top - 6, transform: `rotate(-50 ${x} ${top - 6})` }, text)
            : svgEl("text", { class: "tick", x, y: top - 8, "text-anchor": "middle" }, text));
    });
    rows.forEach((text, row) => {
        svg.append(svgEl("text", { class: "tick", x: left - 8, y: top + (row + 0.5) * size + 4, "text-anchor": "end" }, text));
        columns.forEach((_, column) => {
            const cell = cells[row][column];
            if (!cell) return;
            const [x, y] = [left + column * wide, top + row * size];
            svg.append(svgEl("g", {}, svgEl("rect", { class: cell.strong ? "cell strong" : "cell", x: x + 1, y: y + 1, width: wide - 2, height: size - 2, fill: cell.color }),
                cell.text && svgEl("text", { class: "value", x: x + wide / 2, y: y + size / 2 + 4, "text-anchor": "middle", style: cell.ink && `fill:${cell.ink}` }, cell.text),
                svgEl("title", {}, cell.title)));
        });
    });
    return svg;
}

/** What the colours of lines or points are: pairs of colour and name. */
export function keys(entries) {
    return el("p", { class: "legend" }, entries.map(([color, name]) => el("span", { class: "key" }, el("i", { style: `background:${color}` }), name)));
}

/** A strip from low to high with its ends named. */
export function legend(colours, low, high, what) {
    const width = 160, svg = svgEl("svg", { viewBox: `0 0 ${width} 12`, width, height: 12, class: "ramp", "aria-hidden": "true" });
    colours.forEach((color, at) => svg.append(svgEl("rect", { x: at * width / colours.length, width: width / colours.length + 0.5, height: 12, fill: color })));
    return el("div", { class: "legend" }, el("span", {}, low), svg, el("span", {}, high), el("span", { class: "muted" }, what));
}
