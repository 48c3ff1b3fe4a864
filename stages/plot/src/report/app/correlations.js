// The view "Correlations": every tested pair, raw and partial side by side.
import { inkOn, signed } from "./colour.js";
import { matrixChart } from "./chart.js";
import { choice, el, empty, isDark } from "./dom.js";
import { exporter } from "./export.js";
import { beside } from "./layers.js";
import { correlation, short } from "./number.js";

/** Below this q a pair is framed. */
const LEVEL = 0.05;

export function mountCorrelations(root, app) {
    const { training, dataset } = app.at(), dark = isDark();
    const all = (training?.correlations ?? []).map(([scope, x, layer, y, n, spearman, low, high, partial, p, q, reason]) => ({ scope, x, layer, y, n, spearman, low, high, partial, p, q, reason }));
    if (all.length === 0) return empty(root, app, "Nothing was correlated: the stage correlate needs a run with snapshots.");
    const host = el("div", { class: "matrices" }), controls = el("div", { class: "controls" }), note = el("p", { class: "note" }), said = el("p", { class: "note", "aria-live": "polite" });
    let charts = [], shown = [];
    function draw() {
        const scopes = [...new Set(all.map((row) => row.scope))], scope = scopes.includes(app.state.scope) ? app.state.scope : scopes[0];
        const layers = [...new Set(all.filter((row) => row.scope === scope).map((row) => (row.layer === null ? "" : String(row.layer))))], layer = layers.includes(app.state.layer) ? app.state.layer : layers[0];
        controls.replaceChildren(...app.choices(), choice("Over", scopes.map((one) => [one, one === "training" ? "training: snapshots and seeds" : "generation: samples of the last step"]), scope, (value) => app.set({ scope: value })),
            choice("Layer", layers.map((one) => [one, one === "" ? "all layers" : `layer ${one}`]), layer, (value) => app.set({ layer: value })));
        shown = all.filter((row) => row.scope === scope && (row.layer === null ? "" : String(row.layer)) === layer);
        const xs = [...new Set(shown.map((row) => row.x))], ys = [...new Set(shown.map((row) => row.y))];
        const label = (name) => app.study.labels.get(name)?.label ?? name;
        const left = 14 + 6.6 * Math.max(...xs.map((name) => label(name).length)), top = 22 + 5 * Math.max(...ys.map((name) => label(name).length));
        const kinds = [["spearman", scope === "training" ? "Raw Spearman: confounded by step" : "Spearman within seeds"], ["partial", "Partial: without what all seeds share"]].filter(([kind]) => shown.some((row) => row[kind] !== null));
        // Side by side, the rows are named once.
        const wide = 32, abreast = root.clientWidth >= left + kinds.length * (ys.length * wide + 40);
        charts = kinds.map(([kind, title], at) => ({ title, chart: matrixChart({
            title, rows: xs.map((name) => (at > 0 && abreast ? "" : label(name))), columns: ys.map(label), rotate: true, size: 25, wide, left: at > 0 && abreast ? 8 : left, top,
            cells: xs.map((x) => ys.map((y) => {
                const row = shown.find((one) => one.x === x && one.y === y), value = row?.[kind];
                if (value === null || value === undefined) return null;
                const interval = kind === "spearman" && row.low !== null ? ` [${short(row.low)}, ${short(row.high)}]` : "";
                // The test of the training scope is of the partial correlation.
                const tested = scope === "generation" || kind === "partial";
                const color = `rgb(${signed(dark, value).join(",")})`;
                return { color, ink: inkOn(color), text: correlation(value), strong: tested && row.q !== null && row.q <= LEVEL, title: `${label(x)} with ${label(y)}: ${short(value)}${interval}${tested ? `, p ${short(row.p)}, q ${short(row.q)}` : ""}, n ${row.n}` };
            })),
        }) }));
        host.replaceChildren(...charts.map(({ title, chart }) => el("figure", {}, el("figcaption", {}, title), el("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": title }, chart))));
        host.onpointerover = (event) => { const text = event.target.closest("g")?.querySelector("title")?.textContent; if (text) said.textContent = text; };
        const significant = shown.filter((row) => row.q !== null && row.q <= LEVEL).length;
        note.textContent = `Framed: q ≤ ${LEVEL} (Benjamini–Hochberg over all tests of the run): ${significant} of the ${shown.filter((row) => row.q !== null).length} tests shown. ` + (scope === "training" ? "Over training, raw correlations are confounded by the step: any two drifting quantities correlate. The partial correlation subtracts, at each step, the mean over seeds." : "p is from permutations within seed.");
    }
    const rows = () => [["dataset", "scope", "x", "layer", "y", "n", "spearman", "low", "high", "partial_spearman", "p_value", "q_value"], ...shown.map((row) => [dataset.name, row.scope, row.x, row.layer, row.y, row.n, row.spearman, row.low, row.high, row.partial, row.p, row.q])];
    root.replaceChildren(controls, host, said, note, exporter("the correlations", () => `correlations_${dataset.name}`, () => beside(root, charts), rows));
    draw();
    return { update: draw };
}
