// The view "Heads": any metric of heads, layers or pairs of layers over training.
import { distinct } from "./colour.js";
import { keys, lineChart } from "./chart.js";
import { choice, el, empty, isDark, svgEl, table } from "./dom.js";
import { exporter } from "./export.js";
import { stepper } from "./layers.js";
import { meanOf } from "./model.js";
import { integer, short } from "./number.js";
import { headOf } from "./state.js";
import { band, layerCurves } from "./story.js";

const EVENTS = { previous_token_head: "previous-token head", induction_head: "induction head", attention_sink: "attention sink", layer_specialisation: "layers specialise", change_point: "change point" };

/** The onsets and change points of a metric in all layers, to be marked in a chart. */
export function onsetsOf(training, metric) {
    const found = training.onsets.filter((onset) => onset.metric === metric && onset.layer === null && onset.value !== null);
    return found.map((onset, row) => ({ x: onset.value, low: onset.low ?? undefined, high: onset.high ?? undefined, row, label: `${EVENTS[onset.event] ?? onset.event}: step ${integer(onset.value)}, ${onset.n} of ${onset.seeds} seeds` }));
}

export function mountHeads(root, app) {
    const { training, dataset } = app.at(), dark = isDark();
    if (!training) return empty(root, app, "No run of this study recorded attention: the stage snapshot does, in runs that name it.");
    const { measures } = app.study;
    const kindOf = (name) => (measures.layer.some((one) => one.name === name) ? "layer" : measures.pair.some((one) => one.name === name) ? "pair" : "head");
    const steps = stepper(app), legendHost = el("div"), host = el("div"), picks = el("div", { class: "picks", role: "group", "aria-label": "Marked heads" }), note = el("p", { class: "note" }), controls = el("div", { class: "controls" }), values = el("div");

    function series() {
        const metric = app.state.over, kind = kindOf(metric), { seed } = app.at();
        if (kind === "pair" && training.pair) {
            const pairs = [];
            for (let a = 0; a < training.layers; a += 1) for (let b = a + 1; b < training.layers; b += 1) {
                pairs.push({ name: `layers ${a}–${b}`, color: distinct(dark, a), curve: training.steps.map((step, at) => [step, ...meanOf(training.seeds.map((_, which) => training.pairValue(metric, which, at, a, b)))]) });
            }
            return pairs;
        }
        if (kind === "layer") return Array.from({ length: training.layers }, (_, layer) => ({ name: `layer ${layer}`, label: `layer ${layer}`, color: distinct(dark, layer), curve: training.steps.map((step, at) => [step, ...meanOf(training.seeds.map((_, which) => training.layerValue(metric, which, at, layer)))]) }));
        if (app.state.lines === "layers") return layerCurves(training, metric).map((curve, layer) => ({ name: `layer ${layer}`, label: `layer ${layer}`, color: distinct(dark, layer), curve }));
        return training.names.map((name) => ({ name, head: name, color: distinct(dark, headOf(name).layer), curve: training.steps.map((step, at) => [step, training.named(metric, seed, at, name), null]) }));
    }

    let chart = null;
    function draw() {
        const metric = app.state.over, kind = kindOf(metric), { seed, step } = app.at(), lines = series(), picked = app.picked();
        const perHead = lines.some((line) => line.head), uniform = training.uniform[metric];
        controls.replaceChildren(...app.choices(),
            choice("Metric", [["Heads", measures.head.map((one) => [one.name, one.label])], ["Layers", measures.layer.map((one) => [one.name, one.label])], ...(training.pair ? [["Pairs of layers", measures.pair.map((one) => [one.name, one.label])]] : [])], metric, (value) => app.set({ over: value })),
            kind === "head" && choice("Lines", [["heads", "each head of one seed"], ["layers", "layer means, with seed bands"]], app.state.lines, (value) => app.set({ lines: value })),
            perHead ? choice("Seed", training.seeds.map((name) => [name, name]), training.seeds[seed], (value) => app.set({ seed: value })) : "");
        chart = lineChart({
            width: Math.max(320, Math.min(1180, host.clientWidth || 900)), height: 420, log: dataset.logSpaced, cursor: training.steps[step],
            title: `${app.study.label(metric)} over training`, yLabel: app.study.label(metric), marks: onsetsOf(training, metric),
            baseline: uniform === undefined ? undefined : { value: uniform, label: "uniform attention" },
            lines: lines.map((line) => ({
                points: line.curve.map(([at, value]) => [at, value]), band: band(line.curve), color: line.color, name: line.name,
                label: line.label ?? (picked.has(line.head) || line.head === app.at().head.name ? line.name : undefined),
                faint: perHead && picked.size > 0 && !picked.has(line.head), width: picked.has(line.head) ? 3 : 1.6,
            })),
        });
        if (perHead) brush(chart, lines);
        chart.addEventListener("click", (event) => { if (event.target.dataset?.name && headOf(event.target.dataset.name)) app.pick(event.target.dataset.name); });
        steps.show();
        legendHost.replaceChildren(perHead ? keys(Array.from({ length: training.layers }, (_, layer) => [distinct(dark, layer), `layer ${layer}`])) : kind === "pair" ? keys(Array.from({ length: training.layers - 1 }, (_, layer) => [distinct(dark, layer), `layers ${layer}–…`])) : "");
        host.replaceChildren(chart);
        note.textContent = perHead
            ? `Seed ${training.seeds[seed]}. Drag over lines to mark their heads, here and in the maps; choose a line or a button to mark one.`
            : `Mean over ${training.seeds.length} seeds${training.seeds.length > 1 ? ", band ± 1 standard error" : ""}${kind === "head" ? ", of the mean over the heads of a layer" : ""}.`;
        picks.hidden = !perHead;
        picks.replaceChildren(...training.names.map((name) => el("button", { type: "button", class: "quiet pick", "aria-pressed": String(picked.has(name)), onclick: () => app.pick(name) }, name)),
            picked.size ? el("button", { type: "button", class: "quiet", onclick: () => app.set({ picked: "" }) }, "clear") : "");
        const shown = lines.filter((line) => !perHead || picked.size === 0 || picked.has(line.head));
        const columns = [...new Set([0, step, training.steps.length - 1])];
        values.replaceChildren(table(`${app.study.label(metric)} at step ${integer(training.steps[step])}`, [perHead ? "head" : "lines", ...columns.map((at) => `step ${integer(training.steps[at])}`)], shown.map((line) => el("tr", { "data-line": line.name },
            el("th", { scope: "row" }, line.head ? el("a", { href: app.link({ view: "attention", head: line.head }) }, line.name) : line.name), ...columns.map((at) => el("td", { class: "number" }, short(line.curve[at][1])))))));
    }

    /** Marks the heads whose lines cross the rectangle that the pointer draws. */
    function brush(svg, lines) {
        let from = null, box = null;
        const place = (event) => {
            const bounds = svg.getBoundingClientRect(), [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
            return [(event.clientX - bounds.left) / bounds.width * width, (event.clientY - bounds.top) / bounds.height * height];
        };
        svg.addEventListener("pointerdown", (event) => { if (event.button === 0) from = place(event); });
        svg.addEventListener("pointermove", (event) => {
            if (!from) return;
            const to = place(event);
            if (!box && Math.hypot(to[0] - from[0], to[1] - from[1]) < 6) return;
            if (!box) { box = svgEl("rect", { class: "brush", "data-transient": true }); svg.append(box); svg.setPointerCapture(event.pointerId); }
            for (const [name, value] of Object.entries({ x: Math.min(from[0], to[0]), y: Math.min(from[1], to[1]), width: Math.abs(from[0] - to[0]), height: Math.abs(from[1] - to[1]) })) box.setAttribute(name, value);
        });
        svg.addEventListener("pointerup", (event) => {
            if (from && box) {
                const to = place(event), [left, right] = [from[0], to[0]].toSorted((a, b) => a - b), [top, bottom] = [from[1], to[1]].toSorted((a, b) => a - b);
                const inside = lines.filter((line) => crosses(line.curve.filter(([, value]) => value !== null).map(([at, value]) => [svg.scales.x(at), svg.scales.y(value)]), left, right, top, bottom));
                app.set({ picked: inside.map((line) => line.head).join(",") });
            }
            from = box = null;
        });
    }

    const rows = () => [["dataset", "line", "step", "value", "stderr_over_seeds"], ...series().flatMap((line) => line.curve.map(([step, value, error]) => [dataset.name, line.name, step, value, error]))];
    root.replaceChildren(controls, steps.element, host, legendHost, note, exporter("the chart", () => `${app.state.over}_${dataset.name}`, () => chart, rows), picks, values);
    draw();
    return { update: draw };
}

/** Whether a line of points goes through a rectangle. */
export function crosses(points, left, right, top, bottom) {
    const inside = ([x, y]) => x >= left && x <= right && y >= top && y <= bottom;
    return points.some((point, at) => {
        if (inside(point)) return true;
        if (at === 0) return false;
        const [x0, y0] = points[at - 1], [x1, y1] = point;
        const sides = [left, right].filter((x) => (x - x0) * (x - x1) < 0).map((x) => [x, y0 + (y1 - y0) * (x - x0) / (x1 - x0)]);
        const ends = [top, bottom].filter((y) => (y - y0) * (y - y1) < 0).map((y) => [x0 + (x1 - x0) * (y - y0) / (y1 - y0), y]);
        return [...sides, ...ends].some(([x, y]) => x >= left - 1e-9 && x <= right + 1e-9 && y >= top - 1e-9 && y <= bottom + 1e-9);
    });
}
