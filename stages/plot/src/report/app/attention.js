// The view "Attention": maps of every head through training.
import { cssLevel, distinct, inkOn, levels, signed } from "./colour.js";
import { triangle, weight } from "./codec.js";
import { legend, lineChart, sparkline } from "./chart.js";
import { attached, choice, el, empty, isDark, movedBy, player, svgEl, symbolSpans, table } from "./dom.js";
import { exporter } from "./export.js";
import { axisOf, distances, drawDifference, drawMap, keyColumn, queryRow, topAttended } from "./maps.js";
import { integer, percent, short } from "./number.js";
import { headName, headOf } from "./state.js";
import { lossCurve } from "./story.js";
import { spoken, visible } from "./text.js";

/** Milliseconds between snapshots while playing. */
const BEAT = 450;

/** Heads in the order of a measure's values, of those within the limits; `place` keeps layers and heads. */
export function arranged(names, value, sort, limits) {
    const [low, high] = limits.split("..").map((text) => (text === "" || text === undefined ? null : Number(text)));
    const within = (name) => {
        const found = value(name);
        return (low === null || Number.isNaN(low) || (found !== null && found >= low)) && (high === null || high === undefined || Number.isNaN(high) || (found !== null && found <= high));
    };
    const shown = names.filter(within);
    if (sort) {
        const sign = sort === "asc" ? 1 : -1;
        const key = (name) => value(name) ?? sign * Infinity;
        shown.sort((one, other) => sign * (key(one) - key(other)) || names.indexOf(one) - names.indexOf(other));
    }
    return shown;
}

export function mountAttention(root, app) {
    const { training, dataset } = app.at();
    const dark = isDark();
    if (!training || training.maps.length === 0) {
        return empty(root, app, "No run of this study recorded attention: the stage snapshot does, in runs that name it.");
    }
    const measures = app.study.measures.head;
    const losses = dataset.losses.find((one) => training.runs.some((run) => one.runs.includes(run.name))) ?? dataset.losses[0];
    let colours = levels(dark, app.state.scale), maps = null, otherMaps = null, shares = null, otherShares = null, point = null;

    // ── Controls ──
    const windows = (seed) => training.mapsOf(seed).map(({ window }) => [String(window), training.windowLabel(window)]);
    const controls = el("div", { class: "controls" });
    const drawControls = () => {
        const { seed, window } = app.at();
        controls.replaceChildren(...app.choices(),
            choice("Seed", training.seeds.map((name, at) => [name, training.mapsOf(at).length ? name : `${name} (no maps here)`]), training.seeds[seed], (value) => app.set({ seed: value })),
            choice("Window", windows(seed), String(window), (value) => app.set({ window: value, query: "" })));
    };
    const slider = el("input", { type: "range", min: 0, max: training.steps.length - 1, step: 1, "aria-label": "Snapshot", list: "snapshots", oninput: () => app.set({ step: String(training.steps[slider.value]) }) });
    const stepText = el("output", { class: "step" });
    const play = player("Play", BEAT, {
        begin: () => { if (app.at().step === training.steps.length - 1) app.set({ step: String(training.steps[0]) }); },
        tick: () => {
            const next = app.at().step + 1;
            if (next < training.steps.length) app.set({ step: String(training.steps[next]) });
            return next < training.steps.length;
        },
    });
    const chartHost = el("div", { class: "losschart" });
    const playerHost = el("div", { class: "player" }, play.button, el("div", { class: "track" }, slider, stepText));

    // ── Grid of heads ──
    const grid = el("div", { class: "heads", role: "group", "aria-label": "Heads", style: `--heads:${training.heads}` });
    const cells = new Map();
    for (const name of training.names) {
        const canvas = el("canvas", { "aria-hidden": "true" }), value = el("span", { class: "value" });
        const button = el("button", { type: "button", class: "head", "data-head": name, onclick: (event) => (event.shiftKey ? app.pick(name) : app.set({ head: name })) },
            canvas, el("span", { class: "name" }, name), " ", value);
        cells.set(name, { canvas, value, button });
    }
    // Arrow keys go from head to head.
    grid.addEventListener("keydown", (event) => {
        const across = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: training.heads, ArrowUp: -training.heads }[event.key];
        const shown = [...grid.querySelectorAll(".head")], at = shown.indexOf(document.activeElement);
        if (!across || at < 0) return;
        event.preventDefault();
        shown[at + across]?.focus();
    });
    const gridNote = el("p", { class: "note" });
    const metric = () => app.state.metric;
    const limits = el("span", { class: "limits" });
    const bound = (which, label) => el("label", { class: "choice" }, el("span", {}, label), el("input", {
        type: "number", step: "any", inputmode: "decimal", value: app.state.filter.split("..")[which] ?? "",
        onchange: (event) => {
            const ends = [...app.state.filter.split(".."), "", ""].slice(0, 2);
            ends[which] = event.target.value;
            app.set({ filter: ends.some(Boolean) ? ends.join("..") : "" });
        },
    }));
    limits.append(bound(0, "at least"), bound(1, "at most"));
    const gridControls = el("div", { class: "controls" },
        choice("Metric", measures.map((measure) => [measure.name, measure.label]), metric(), (value) => app.set({ metric: value, filter: "" })),
        choice("Order of heads", [["", "by layer"], ["desc", "highest first"], ["asc", "lowest first"]], app.state.sort, (value) => app.set({ sort: value })), limits);
    const ramp = el("div", { class: "controls" });

    // ── One head ──
    const detail = el("section", { class: "detail", "aria-label": "One head" });
    const title = el("h2"), compareHost = el("div", { class: "controls" }), mapsHost = el("div", { class: "maps" }), text = el("div", { class: "text", role: "slider", tabindex: "0", "aria-label": "Character of the window", "aria-valuemin": 0 });
    const said = el("p", { class: "said", "aria-live": "polite" }), figures = el("div"), attendedHost = el("div");
    const directionChoice = choice("Shown in the text", [["query", "what a character attends to"], ["key", "which characters attend to it"], ["distance", "how far back each attends"]], app.state.shown, (value) => app.set({ shown: value }));
    detail.append(title, compareHost, mapsHost, el("div", { class: "controls" }, directionChoice), text, said, figures, attendedHost);
    let shownMaps = [];

    const valueOf = (name, at = app.at()) => training.named(metric(), at.seed, at.step, name);

    function other(at) {
        if (!app.state.compare) return null;
        const found = { training, seed: at.seed, step: at.step, layer: at.head.layer, head: at.head.head };
        if (app.state.compare === "training") found.training = others()[Number(app.state.btraining)] ?? others()[0] ?? training;
        if (app.state.compare === "step") found.step = Math.max(0, training.steps.indexOf(Number(app.state.bstep || training.steps[0])));
        if (app.state.compare === "seed") found.seed = Math.max(0, training.seeds.indexOf(app.state.bseed || training.seeds[at.seed === 0 ? Math.min(1, training.seeds.length - 1) : 0]));
        if (app.state.compare === "head") Object.assign(found, headOf(app.state.bhead) ?? { layer: 0, head: 0 });
        return found;
    }

    /** The dataset's other trainings of a model of the same shape. */
    function others() {
        return dataset.trainings.filter((one) => one !== training && one.layers === training.layers && one.heads === training.heads);
    }

    function describe(seed, step, layer, head, of = training) {
        return `${headName(layer, head)}, step ${integer(training.steps[step])}, seed ${training.seeds[seed]}${of === training ? "" : `, ${of.label()}`}`;
    }

    function drawCompare() {
        const at = app.at(), kinds = [["", "nothing"], ["step", "another step"], ["seed", "another seed"], ["head", "another head"], ["training", "another run"]].filter(([kind]) => (kind !== "seed" || training.seeds.length > 1) && (kind !== "training" || others().length > 0));
        const second = other(at);
        compareHost.replaceChildren(choice("Compare with", kinds, app.state.compare, (value) => app.set({ compare: value })));
        if (app.state.compare === "step") compareHost.append(choice("Step", training.steps.map((step) => [String(step), integer(step)]), String(training.steps[second.step]), (value) => app.set({ bstep: value })));
        if (app.state.compare === "seed") compareHost.append(choice("Other seed", training.seeds.map((seed) => [seed, seed]), training.seeds[second.seed], (value) => app.set({ bseed: value })));
        if (app.state.compare === "head") compareHost.append(choice("Other head", training.names.map((name) => [name, name]), headName(second.layer, second.head), (value) => app.set({ bhead: value })));
        if (app.state.compare === "training") compareHost.append(choice("Other run", others().map((one, number) => [String(number), one.label()]), app.state.btraining, (value) => app.set({ btraining: value })));
        compareHost.append(exporter("this head", () => `attention_${dataset.name}_${headName(at.head.layer, at.head.head)}_step${training.steps[app.at().step]}`, detailSvg, detailRows));
    }

    /** Builds the large maps; their pixels are drawn by `updateDetail`. */
    function buildMaps() {
        const at = app.at(), symbols = training.symbols(at.window, maps.block);
        const second = other(at);
        const kinds = second ? ["one", "other", "difference"] : ["one"];
        shownMaps = kinds.map((kind) => {
            const canvas = el("canvas", { "aria-hidden": "true" }), cross = el("div", { class: "cross", hidden: true });
            const plane = el("div", { class: "plane" }, canvas, cross);
            plane.addEventListener("pointermove", (event) => {
                const box = plane.getBoundingClientRect();
                const [key, query] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height].map((share) => Math.min(maps.side - 1, Math.max(0, Math.floor(share * maps.side))));
                hover(query, Math.min(key, query));
            });
            plane.addEventListener("pointerleave", () => hover(null, null));
            plane.addEventListener("click", () => { if (point) app.set({ query: String(point.query) }); });
            const heading = el("figcaption");
            return { kind, canvas, cross, heading, figure: el("figure", { class: "bigmap" }, heading, el("div", { class: "framed" }, axisOf(symbols, 640, true), plane, axisOf(symbols, 640, false))) };
        });
        mapsHost.className = `maps of${kinds.length}`;
        mapsHost.replaceChildren(...shownMaps.map((one) => one.figure));
        const [spans, children] = symbolSpans(symbols);
        spans.forEach((span, position) => {
            span.addEventListener("pointerenter", () => hover(position, null));
            span.addEventListener("click", () => app.set({ query: String(position) }));
        });
        text.replaceChildren(...children);
        text.spans = spans;
        text.symbols = symbols;
        text.setAttribute("aria-valuemax", symbols.length - 1);
        text.onpointerleave = () => hover(null, null);
    }
    text.addEventListener("keydown", (event) => {
        const moved = movedBy(event, query(), maps.side - 1);
        if (moved === null) return;
        // The pointer may rest on a character.
        point = null;
        app.set({ query: String(moved) });
    });

    const query = () => {
        const pinned = Number.parseInt(app.state.query, 10);
        return Number.isNaN(pinned) ? maps.side - 1 : Math.min(maps.side - 1, Math.max(0, pinned));
    };

    function hover(at, key) {
        point = at === null ? null : { query: at, key };
        highlight();
    }

    /** Shows in the text where a character attends, which attend to it, or how far back each attends. */
    function highlight() {
        const at = app.at(), of = point?.query ?? query(), current = maps.of(at.step, at.head.layer, at.head.head);
        const forward = app.state.shown === "key", far = app.state.shown === "distance";
        const values = far ? distances(current, maps.side, maps.block) : forward ? keyColumn(current, of, maps.side) : queryRow(current, of);
        const most = far ? Math.max(...values) || 1 : 1;
        text.spans.forEach((span, position) => {
            const value = values[position];
            const colour = value ? cssLevel(dark, far ? value / most : Math.sqrt(value)) : "";
            span.style.background = colour;
            span.style.color = colour && inkOn(colour);
            span.classList.toggle("current", position === of);
            span.classList.toggle("after", !far && (forward ? position < of : position > of));
        });
        const symbols = text.symbols;
        const best = values.map((value, position) => [value ?? -1, position]).sort((one, other) => other[0] - one[0]).slice(0, 3);
        const list = best.filter(([value]) => value > 0).map(([value, position]) => `${spoken(symbols[position])} at ${position * maps.block} (${percent(value)})`).join(", ");
        const key = point?.key;
        if (far) said.textContent = `${spoken(symbols[of])} at ${of * maps.block} attends ${short(values[of])} ${dataset.unit}s back on average. The strongest colour is ${short(most)}, at ${spoken(symbols[values.indexOf(most)] ?? "")}.`;
        else said.textContent = key !== null && key !== undefined && !forward
            ? `Query ${of * maps.block} ${spoken(symbols[of])} → key ${key * maps.block} ${spoken(symbols[key])}: ${percent(values[key])}. Most: ${list}.`
            : `${spoken(symbols[of])} at ${of * maps.block} ${forward ? "is attended to by" : "attends to"} ${list}.`;
        said.dataset.query = of;
        text.setAttribute("aria-valuenow", of);
        text.setAttribute("aria-valuetext", said.textContent);
        for (const { cross } of shownMaps) {
            cross.hidden = false;
            cross.style.setProperty("--row", of / maps.side);
            cross.style.setProperty("--column", (key ?? of) / maps.side);
            cross.style.setProperty("--cell", 1 / maps.side);
            cross.classList.toggle("withkey", key !== null && key !== undefined);
        }
    }

    function updateDetail() {
        const at = app.at(), { layer, head, name } = at.head, second = other(at);
        title.textContent = `Head ${name}`;
        const current = maps.of(at.step, layer, head);
        const others = second && otherMaps ? otherMaps.of(second.step, second.layer, second.head) : null;
        for (const { kind, canvas, heading } of shownMaps) {
            if (kind === "one") { drawMap(canvas, current, maps.side, colours); heading.textContent = describe(at.seed, at.step, layer, head); }
            if (kind === "other") {
                heading.textContent = describe(second.seed, second.step, second.layer, second.head, second.training);
                if (others) drawMap(canvas, others, maps.side, colours);
                else { canvas.width = 1; heading.textContent += ": its maps of this window are not on this page"; }
            }
            if (kind === "difference") { heading.textContent = "Difference: first − second"; if (others) drawDifference(canvas, current, others, maps.side, dark); }
        }
        highlight();
        for (const row of metricRows) {
            row.value.textContent = short(training.headValue(row.name, at.seed, at.step, layer, head));
            if (row.second) row.second.textContent = second ? short(second.training.headValue(row.name, second.seed, second.step, second.layer, second.head)) : "";
            row.spark.cursor(training.steps[at.step]);
        }
        updateAttended();
    }

    let metricRows = [];
    function buildMetrics() {
        const { seed, head } = app.at(), second = other(app.at());
        metricRows = measures.map((measure) => {
            const uniform = training.uniform[measure.name];
            const points = training.steps.map((step, at) => [step, training.headValue(measure.name, seed, at, head.layer, head.head)]);
            return {
                name: measure.name, value: el("td", { class: "number", "data-metric": measure.name }), second: second && el("td", { class: "number" }), uniform,
                spark: sparkline(points, { title: `${measure.label} of ${head.name} over training`, color: distinct(dark, 0), baseline: uniform, log: dataset.logSpaced }),
            };
        });
        const headings = ["metric", "value", ...(second ? ["compared"] : []), "uniform attention", "over training"];
        figures.replaceChildren(table(`Metrics of head ${head.name}`, headings, metricRows.map((row) => el("tr", {},
            el("th", { scope: "row", title: app.study.labels.get(row.name).higher ? `higher: ${app.study.labels.get(row.name).higher}` : null }, app.study.label(row.name)), row.value, row.second, el("td", { class: "number" }, short(row.uniform)), el("td", {}, row.spark))), { class: "metrics" }));
    }

    let attendedKey = "", attendedRow = new Map();
    function updateAttended() {
        if (!shares) return;
        const at = app.at(), second = other(at), { tokens, uniform } = training.attended;
        const top = topAttended(shares, training.attendedAt(at.step, at.head.layer, at.head.head), uniform, app.state.rank);
        const key = [at.seed, at.head.name, app.state.rank, app.state.compare, app.state.bseed, app.state.bhead, app.state.bstep, ...top.map((one) => one.at)].join();
        const secondShare = (one) => (second && otherShares ? otherShares[second.training.attendedAt(second.step, second.layer, second.head) + one.at] : null);
        if (key !== attendedKey) {
            attendedKey = key;
            const rank = (kind, label) => el("button", { type: "button", class: "quiet", "aria-pressed": String(app.state.rank === kind), onclick: () => app.set({ rank: kind }) }, label);
            const of = [at.seed, at.head.name, app.state.compare].join();
            if (attendedRow.of !== of) attendedRow = Object.assign(new Map(), { of });
            const rowOf = (one) => {
                if (!attendedRow.has(one.at)) attendedRow.set(one.at, newRow(one));
                return attendedRow.get(one.at);
            };
            const newRow = (one) => {
                const points = training.steps.map((step, number) => [step, shares[training.attendedAt(number, at.head.layer, at.head.head) + one.at]]);
                const symbol = dataset.vocabulary[tokens[one.at]];
                const spark = sparkline(points, { title: `Attention to ${spoken(symbol)} over training`, color: distinct(dark, 1), baseline: one.uniform, log: dataset.logSpaced });
                return el("tr", { "data-token": tokens[one.at] }, el("th", { scope: "row", title: spoken(symbol) }, el("bdi", { class: "symbol" }, visible(symbol))),
                    el("td", { class: "number share" }), second && el("td", { class: "number second" }), el("td", { class: "number" }, percent(one.uniform)), el("td", { class: "number ratio" }), el("td", {}, spark));
            };
            const rows = top.map(rowOf);
            const body = attendedHost.querySelector("tbody"), frame = [of, app.state.rank].join();
            if (body && attendedHost.dataset.frame === frame) body.replaceChildren(...rows);
            else attendedHost.replaceChildren(el("div", { class: "controls" }, el("div", { class: "exports", role: "group", "aria-label": "Rank characters" }, "Rank by ", rank("share", "share"), rank("ratio", "ratio to uniform")),
                exporter("the attended characters", () => `attended_${dataset.name}_${at.head.name}`, () => attendedSvg(), () => attendedRows())),
            table(`Top attended characters of head ${at.head.name}`, ["character", "share of attention", ...(second ? ["compared"] : []), "uniform attention", "ratio", "over training"], rows, { class: "attended" }));
            attendedHost.dataset.frame = frame;
        }
        [...attendedHost.querySelectorAll("tbody tr")].forEach((row, index) => {
            const one = top[index];
            row.querySelector(".share").textContent = percent(one.share);
            row.querySelector(".share").style.setProperty("--share", one.share);
            if (second) row.querySelector(".second").textContent = percent(secondShare(one));
            row.querySelector(".ratio").textContent = one.ratio === null ? "–" : `${short(one.ratio)}×`;
            row.querySelector("svg").cursor(training.steps[at.step]);
        });
    }

    // ── Files ──
    const shownNames = () => arranged(training.names, (name) => valueOf(name), app.state.sort, app.state.filter);
    function gridSvg() {
        const at = app.at(), names = shownNames(), size = 120, gap = 14, columns = training.heads;
        const rows = Math.ceil(names.length / columns), width = columns * (size + gap) + gap, height = rows * (size + 34) + 40;
        const svg = svgEl("svg", { viewBox: `0 0 ${width} ${height}`, class: "chart" }, svgEl("text", { class: "note", x: gap, y: 20 }, `${dataset.name}, seed ${training.seeds[at.seed]}, window ${training.windows[at.window].number}, step ${integer(training.steps[at.step])}; ${app.study.label(metric())}`));
        names.forEach((name, index) => {
            const [x, y] = [gap + index % columns * (size + gap), 34 + Math.floor(index / columns) * (size + 34)];
            svg.append(svgEl("image", { x, y, width: size, height: size, href: cells.get(name).canvas.toDataURL(), style: "image-rendering:pixelated" }), svgEl("text", { class: "note", x, y: y + size + 15 }, `${name}  ${short(valueOf(name))}`));
        });
        return attached(root, svg);
    }
    const gridRows = () => {
        const at = app.at();
        return [["dataset", "seed", "window", "step", "layer", "head", ...measures.map((measure) => measure.name)],
            ...shownNames().map((name) => [dataset.name, training.seeds[at.seed], training.windows[at.window].number, training.steps[at.step], headOf(name).layer, headOf(name).head, ...measures.map((measure) => training.named(measure.name, at.seed, at.step, name))])];
    };
    function detailSvg() {
        const size = 420, left = 20, symbols = text.symbols, width = shownMaps.length * (size + left + 20) + 10;
        const svg = svgEl("svg", { viewBox: `0 0 ${width} ${size + 70}`, class: "chart" });
        shownMaps.forEach(({ canvas, heading }, index) => {
            const x = left + index * (size + left + 20), pitch = size / symbols.length;
            svg.append(svgEl("text", { class: "note", x, y: 18 }, heading.textContent), svgEl("image", { x, y: 28, width: size, height: size, href: canvas.toDataURL(), style: "image-rendering:pixelated" }));
            symbols.forEach((symbol, at) => {
                const shown = `\u2068${visible(symbol)}\u2069`, font = Math.min(10, pitch);
                svg.append(svgEl("text", { class: "tick", style: `font-size:${font}px`, x: x - 6, y: 28 + (at + 0.8) * pitch, "text-anchor": "middle" }, shown), svgEl("text", { class: "tick", style: `font-size:${font}px`, x: x + (at + 0.5) * pitch, y: 28 + size + 10, "text-anchor": "middle" }, shown));
            });
        });
        return attached(root, svg);
    }
    const detailRows = () => {
        const at = app.at(), second = other(at), current = maps.of(at.step, at.head.layer, at.head.head);
        const others = second && otherMaps ? otherMaps.of(second.step, second.layer, second.head) : null;
        const rows = [["query", "query_character", "key", "key_character", "weight", ...(others ? ["compared", "difference"] : [])]];
        for (let row = 0; row < maps.side; row += 1) for (let key = 0; key <= row; key += 1) {
            const cell = triangle(row) + key, value = weight(current[cell]);
            const more = others ? [weight(others[cell]), value - weight(others[cell])] : [];
            rows.push([row * maps.block, visible(text.symbols[row]), key * maps.block, visible(text.symbols[key]), ...[value, ...more].map((number) => number.toFixed(5))]);
        }
        return rows;
    };
    const attendedRows = () => {
        const at = app.at(), { tokens, uniform } = training.attended;
        return [["character", "token", "share", "uniform_share", "ratio"], ...topAttended(shares, training.attendedAt(at.step, at.head.layer, at.head.head), uniform, app.state.rank).map((one) => [visible(dataset.vocabulary[tokens[one.at]]), tokens[one.at], one.share.toFixed(6), one.uniform, one.ratio?.toFixed(4)])];
    };
    const attendedSvg = () => {
        const rows = attendedRows().slice(1), svg = svgEl("svg", { viewBox: `0 0 420 ${rows.length * 22 + 40}`, class: "chart" }, svgEl("text", { class: "note", x: 10, y: 20 }, `Attended characters of ${app.at().head.name}, step ${integer(training.steps[app.at().step])}: share (bar) and uniform (mark)`));
        rows.forEach(([symbol, , share, uniform], at) => {
            const y = 34 + at * 22;
            svg.append(svgEl("text", { class: "tick", x: 34, y: y + 13, "text-anchor": "end" }, symbol), svgEl("rect", { x: 44, y: y + 2, width: 300 * share, height: 14, fill: distinct(dark, 0) }), svgEl("rect", { x: 43 + 300 * uniform, y, width: 2, height: 18, fill: distinct(dark, 1) }), svgEl("text", { class: "tick", x: 50 + 300 * share, y: y + 13 }, percent(Number(share))));
        });
        return attached(root, svg);
    };

    // ── Changes ──
    function drawHeads() {
        const at = app.at();
        for (const [name, { canvas, value, button }] of cells) {
            const { layer, head } = headOf(name);
            drawMap(canvas, maps.of(at.step, layer, head), maps.side, colours);
            const found = short(valueOf(name, at));
            value.textContent = found;
            button.classList.toggle("chosen", name === at.head.name);
            button.classList.toggle("picked", app.picked().has(name));
            button.setAttribute("aria-pressed", String(name === at.head.name));
        }
        const shown = shownNames();
        if (grid.shown !== shown.join()) {
            const focused = document.activeElement;
            grid.replaceChildren(...shown.map((name) => cells.get(name).button));
            if (grid.contains(focused)) focused.focus();
            grid.shown = shown.join();
        }
        const hidden = training.names.length - shown.length;
        const picked = app.picked().size;
        gridNote.textContent = `${app.study.label(metric())}; uniform attention: ${short(training.uniform[metric()])}.${hidden ? ` ${hidden} of ${training.names.length} heads are filtered out.` : ""}${picked ? ` ${picked} heads are marked.` : ""} Queries run down, keys across.`;
    }

    function move() {
        const at = app.at();
        slider.value = at.step;
        const step = training.steps[at.step], loss = losses.val[at.seed]?.[losses.steps.indexOf(step)];
        slider.setAttribute("aria-valuetext", `step ${step}`);
        stepText.replaceChildren(el("b", {}, `step ${integer(step)}`), ` validation loss ${short(loss)}`);
        chartHost.firstChild?.cursor?.(step);
    }

    function drawLoss() {
        const at = app.at(), of = (which, color, label) => ({ points: losses.steps.map((step, number) => [step, losses[which][at.seed][number]]), color, label });
        const mean = lossCurve(losses, "val").map(([step, value]) => [step, value]);
        chartHost.replaceChildren(lineChart({
            width: Math.max(300, Math.min(640, chartHost.clientWidth || 520)), height: 135, title: `Losses of seed ${training.seeds[at.seed]} over training`, yLabel: `loss (nats per ${dataset.unit})`, log: dataset.logSpaced, cursor: training.steps[at.step],
            lines: [{ points: mean, color: "var(--muted)", label: "val, mean", width: 1.2 }, of("train", distinct(dark, 1), "train"), of("val", distinct(dark, 0), "val")],
        }));
    }

    let loading = 0;
    async function load() {
        const at = app.at(), second = other(at), mine = ++loading;
        const [one, two, three, four] = await Promise.all([training.mapsAt(at.seed, at.window), second ? second.training.mapsAt(second.seed, at.window) : null, training.attendedBy(at.seed), second ? second.training.attendedBy(second.seed) : null]);
        if (mine !== loading) return;
        [maps, otherMaps, shares, otherShares] = [one, two, three, four];
        attendedKey = "";
        attendedRow = new Map();
        attendedHost.dataset.frame = "";
        note();
        drawControls();
        drawCompare();
        buildMaps();
        buildMetrics();
        drawLoss();
        ramp.replaceChildren(choice("Colour scale", [["sqrt", "square root"], ["linear", "linear"]], app.state.scale, (value) => app.set({ scale: value })), legend(Array.from({ length: 32 }, (_, at) => cssLevel(dark, app.state.scale === "linear" ? at / 31 : Math.sqrt(at / 31))), "0", "1", `attention; the colour goes with ${app.state.scale === "linear" ? "the weight" : "its square root"}`),
            second ? legend(Array.from({ length: 31 }, (_, at) => `rgb(${signed(dark, Math.sign(at - 15) * Math.sqrt(Math.abs(at - 15) / 15)).join(",")})`), "−1", "1", "difference; the colour goes with the square root of its size") : "");
        move();
        drawHeads();
        updateDetail();
        root.dataset.ready = "true";
    }
    const about = el("p", { class: "note" });
    function note() {
        const block = maps.block, all = training.windows.length * training.seeds.length;
        about.textContent = `${training.maps.length} of ${all} windows × seeds are on this page, at every snapshot, in 8 bits (error at most 0.004); the table attention has all of them exactly.`
            + (block > 1 ? ` Maps are reduced: a cell is ${block} × ${block} characters, summed over keys and averaged over queries.` : "");
    }

    root.replaceChildren(
        el("div", { class: "bar" }, controls, playerHost),
        el("div", { class: "split" },
            el("section", { class: "overview", "aria-label": "All heads" }, chartHost, gridControls, gridNote, grid, ramp, exporter("the maps of all heads", () => `heads_${dataset.name}_seed${training.seeds[app.at().seed]}_step${training.steps[app.at().step]}`, gridSvg, gridRows), about),
            detail));
    drawControls();
    load();
    return {
        /** Follows a change of the state. */
        update(changed) {
            const any = (...keys) => keys.some((key) => changed.has(key));
            if (any("seed", "window", "compare", "bseed", "btraining", "head", "bhead", "scale") || !maps) {
                if (changed.has("scale")) colours = levels(dark, app.state.scale);
                load();
                return;
            }
            if (any("bstep")) { drawCompare(); attendedKey = ""; }
            if (any("step")) move();
            if (any("step", "metric", "sort", "filter", "picked")) drawHeads();
            if (any("step", "bstep", "rank")) updateDetail();
            if (any("query", "shown")) highlight();
            if (any("filter") && app.state.filter === "") for (const input of limits.querySelectorAll("input")) input.value = "";
        },
        leave: play.leave,
    };
}
