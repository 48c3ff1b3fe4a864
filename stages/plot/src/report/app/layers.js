// The view "Layers": how alike the layers attend, at each snapshot.
import { cssLevel, distinct, inkOn } from "./colour.js";
import { lineChart, matrixChart } from "./chart.js";
import { attached, choice, el, empty, isDark } from "./dom.js";
import { exporter } from "./export.js";
import { meanOf } from "./model.js";
import { integer, short } from "./number.js";
import { band } from "./story.js";

/** A slider over the snapshots with its step in words. */
export function stepper(app) {
    const { training } = app.at(), text = el("output", { class: "step" });
    const slider = el("input", { type: "range", min: 0, max: training.steps.length - 1, step: 1, "aria-label": "Snapshot", oninput: () => app.set({ step: String(training.steps[slider.value]) }) });
    const show = () => {
        const { step } = app.at();
        slider.value = step;
        slider.setAttribute("aria-valuetext", `step ${training.steps[step]}`);
        text.textContent = `step ${integer(training.steps[step])}`;
    };
    show();
    return { element: el("div", { class: "player" }, el("div", { class: "track" }, slider, text)), show };
}

export function mountLayers(root, app) {
    const { training, dataset } = app.at(), dark = isDark();
    if (!training?.pair) return empty(root, app, "No run of this study compared layers: runs with metrics.layer_similarity do.");
    const host = el("div", { class: "matrices" }), controls = el("div", { class: "controls" }), steps = stepper(app), note = el("p", { class: "note" });
    const last = training.steps.length - 1, curveHost = el("div");
    // Where the first or the last is chosen, the one halfway is between them.
    const shown = () => {
        const { step } = app.at(), between = step === 0 || step === last ? Math.floor(last / 2) : step;
        return [...new Set([0, between, last])];
    };
    const nameOf = (at) => (at === 0 ? "First snapshot" : at === last ? "Last snapshot" : at === app.at().step ? "Chosen snapshot" : "Middle snapshot");
    const value = (at, a, b) => (a === b ? null : meanOf(training.seeds.map((_, seed) => training.pairValue(app.state.pair, seed, at, a, b))));
    let charts = [];
    function draw() {
        steps.show();
        const metric = app.state.pair, names = Array.from({ length: training.layers }, (_, layer) => `layer ${layer}`);
        controls.replaceChildren(...app.choices(), choice("Metric", app.study.measures.pair.map((one) => [one.name, one.label]), metric, (next) => app.set({ pair: next })));
        const all = training.pair[metric].flat().filter((one) => one !== null), low = Math.min(...all), high = Math.max(...all);
        const share = (one) => (high > low ? (one - low) / (high - low) : 0.5);
        charts = shown().map((at) => {
            const title = `${nameOf(at)}: step ${integer(training.steps[at])}`;
            const cells = names.map((_, a) => names.map((_, b) => {
                const found = value(at, a, b);
                if (!found || found[0] === null) return null;
                const color = cssLevel(dark, share(found[0]));
                return { color, ink: inkOn(color), text: short(found[0]), title: `layers ${a} and ${b}: ${short(found[0])}${found[1] === null ? "" : ` ± ${short(found[1])}`}` };
            }));
            const chart = matrixChart({ title: `${app.study.label(metric)}, ${title}`, rows: names, columns: names.map((_, layer) => String(layer)), cells, size: 44, top: 28 });
            return { title, chart };
        });
        host.replaceChildren(...charts.map(({ title, chart }) => el("figure", {}, el("figcaption", {}, title), el("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": title }, chart))));
        // Of each distance between layers, the mean over its pairs and then over seeds.
        const apart = Array.from({ length: training.layers - 1 }, (_, at) => at + 1).map((distance) => ({
            distance, curve: training.steps.map((step, at) => [step, ...meanOf(training.seeds.map((_, seed) => meanOf(names.slice(distance).map((_, a) => training.pairValue(metric, seed, at, a, a + distance)))[0]))]),
        }));
        curveHost.replaceChildren(lineChart({
            width: Math.max(320, Math.min(1180, curveHost.clientWidth || 900)), height: 280, log: dataset.logSpaced, cursor: training.steps[app.at().step],
            title: `${app.study.label(metric)} over training, by the distance between layers`, yLabel: `${app.study.label(metric)}, by the distance between layers`,
            lines: apart.map(({ distance, curve }) => ({ points: curve, band: band(curve), color: distinct(dark, distance - 1), label: `${distance} apart`, name: `${distance} apart` })),
        }));
        note.textContent = `${app.study.label(metric)}: ${app.study.labels.get(metric).higher} where it is higher. Mean over ${training.seeds.length} seeds; the colours go from ${short(low)} to ${short(high)}, the same at every step. Uniform attention: ${short(training.uniform[metric])}.`;
    }
    const rows = () => [["dataset", "metric", "step", "layer_a", "layer_b", "mean", "stderr_over_seeds"], ...shown().flatMap((at) => {
        const found = [];
        for (let a = 0; a < training.layers; a += 1) for (let b = a + 1; b < training.layers; b += 1) found.push([dataset.name, app.state.pair, training.steps[at], a, b, ...value(at, a, b)]);
        return found;
    })];
    root.replaceChildren(controls, steps.element, host, exporter("the matrices", () => `${app.state.pair}_${dataset.name}`, () => beside(root, charts), rows), note, curveHost);
    draw();
    return { update: draw };
}

/** Charts side by side as one SVG, each below its title; it is in the page only until it is saved. */
export function beside(root, charts) {
    const sizes = charts.map(({ chart }) => chart.getAttribute("viewBox").split(" ").slice(2).map(Number));
    const whole = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    whole.setAttribute("class", "chart");
    whole.setAttribute("viewBox", `0 0 ${sizes.reduce((sum, [width]) => sum + width + 20, 0)} ${Math.max(...sizes.map(([, height]) => height)) + 30}`);
    let x = 0;
    charts.forEach(({ title, chart }, at) => {
        const copy = chart.cloneNode(true), text = document.createElementNS("http://www.w3.org/2000/svg", "text");
        copy.setAttribute("x", x);
        copy.setAttribute("y", 30);
        text.setAttribute("x", x + 10);
        text.setAttribute("y", 20);
        text.setAttribute("class", "note");
        text.textContent = title;
        whole.append(copy, text);
        x += sizes[at][0] + 20;
    });
    return attached(root, whole);
}
