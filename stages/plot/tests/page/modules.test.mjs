// The page's modules without a browser: `node --test stages/plot/tests/page/modules.test.mjs`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { arranged } from "../../src/report/app/attention.js";
import { extent, labelPlace, scaleOf } from "../../src/report/app/chart.js";
import { fromBase64, inflate, sharesOf, triangle, weight } from "../../src/report/app/codec.js";
import { distinct, inkOn, levels, signed } from "../../src/report/app/colour.js";
import { matrixOf } from "../../src/report/app/during.js";
import { csv } from "../../src/report/app/export.js";
import { Generated } from "../../src/report/app/generating.js";
import { crosses } from "../../src/report/app/heads.js";
import { distances, keyColumn, queryRow, topAttended } from "../../src/report/app/maps.js";
import { Maps, Training, meanOf } from "../../src/report/app/model.js";
import { correlation, integer, percent, short, tick, ticks } from "../../src/report/app/number.js";
import { DEFAULTS, format, headName, headOf, parse } from "../../src/report/app/state.js";
import { frames, headline } from "../../src/report/app/story.js";
import { inSentence, printable, spoken, visible } from "../../src/report/app/text.js";

test("what is invisible has a picture", () => {
    const shown = ["\n", " ", "\t", "\u0001", "\u0085", "\u202e", "\u200f", "\u2067", "\ufeff", "\u0301", "א", "<", "é", "", "ab\n"].map(visible);
    assert.deepEqual(shown, ["↵", "␣", "⇥", "\\x01", "\\x85", "\\u{202e}", "\\u{200f}", "\\u{2067}", "\\u{feff}", "◌\u0301", "א", "<", "é", "∅", "ab↵"]);
    assert.equal(printable("a \n\u0000<b>\u202e"), "a \n\\x00<b>\\u{202e}");
    assert.deepEqual([spoken("\n"), spoken("\u0007"), spoken("x")], ["line feed", "character \\x07", "“x”"]);
    assert.deepEqual([" ", "\u0007", "x"].map(inSentence), ["the space character", "the character \\x07", "the character “x”"]);
});

test("numbers read as in the tables", () => {
    assert.deepEqual([0, 0.12345, -0.12345, 0.99996, 12.345, 1234.5, 12345, 0.00012, null].map(short), ["0", "0.123", "−0.123", "1.00", "12.3", "1235", "12,345", "1.2e−4", "–"]);
    assert.deepEqual([percent(0.3497), percent(0.0325), percent(0.00012), percent(null)], ["35 %", "3.3 %", "0.01 %", "–"]);
    assert.deepEqual([integer(2000), integer(100000), tick(0.30000000000000004), tick(-2), tick(20000)], ["2000", "100,000", "0.3", "−2", "20,000"]);
    assert.deepEqual([correlation(0.99), correlation(-0.136), correlation(-0.0001), correlation(1)], [".99", "−.14", ".00", "1.00"]);
    assert.deepEqual([ticks(0, 2000, 4), ticks(0.2, 1, 4), ticks(5, 5, 3)], [[0, 500, 1000, 1500, 2000], [0.2, 0.4, 0.6, 0.8, 1], [5]]);
});

test("chunks are unpacked", async () => {
    const bytes = Uint8Array.from({ length: 1000 }, (_, at) => at % 256);
    assert.deepEqual(await inflate(fromBase64(deflateSync(bytes).toString("base64"))), bytes);
    assert.deepEqual([...sharesOf(Uint8Array.of(0xff, 0xff, 0, 0, 0, 0x80))], [1, 0, 0x8000 / 65535]);
    assert.deepEqual([weight(255), weight(0), triangle(64)], [1, 0, 2080]);
});

test("a link says what differs from the defaults, and nothing else is believed", () => {
    const state = { ...DEFAULTS, view: "attention", head: "L1H3", step: "2000", filter: "0.2..0.5" };
    assert.equal(format(state), "#attention?step=2000&head=L1H3&filter=0.2..0.5");
    assert.deepEqual(parse(format(state)), state);
    assert.deepEqual(parse("#<img>?__proto__=1&constructor=2&head=%3Cb%3E&view=x"), { ...DEFAULTS, head: "<b>" });
    assert.deepEqual([headOf("L10H2"), headOf("L1"), headName(0, 3)], [{ layer: 10, head: 2 }, null, "L0H3"]);
});

test("maps are addressed by step, layer, head, query and key", () => {
    const training = { layers: 2, heads: 2 }, size = triangle(3);
    const cells = Uint8Array.from({ length: 2 * 4 * size }, (_, at) => at);
    const maps = new Maps(cells, 3, 1, training);
    assert.deepEqual([...maps.of(1, 0, 1)], [30, 31, 32, 33, 34, 35]);
    assert.deepEqual(queryRow(maps.of(0, 0, 0), 1), [weight(1), weight(2)]);
    assert.deepEqual(keyColumn(maps.of(0, 0, 0), 1, 3), [null, weight(2), weight(4)]);
    const dataset = { steps: [0], seeds: ["1"], vocabulary: ["a", "\n"] };
    const model = new Training({ ...training, windows: [{ tokens: [0, 1, 0], kind: "val", number: 0, start: 5 }], maps: [], runs: [{ name: "r" }, { name: "s" }], head: { m: [[1, 2, 3, 4]] } }, dataset);
    assert.deepEqual([model.named("m", 0, 0, "L1H0"), model.symbols(0), model.symbols(0, 2), model.label()], [3, ["a", "\n", "a"], ["a\n", "a"], "r = s"]);
    assert.deepEqual([meanOf([1, 3, null]), meanOf([]), meanOf([2])], [[2, 1], [null, null], [2, null]]);
});

test("heads are sorted and filtered by any metric", () => {
    const values = { L0H0: 0.5, L0H1: 0.9, L1H0: null, L1H1: 0.1 }, names = Object.keys(values), value = (name) => values[name];
    assert.deepEqual(arranged(names, value, "", ""), names);
    assert.deepEqual(arranged(names, value, "desc", ""), ["L0H1", "L0H0", "L1H1", "L1H0"]);
    assert.deepEqual(arranged(names, value, "asc", "0.2.."), ["L0H0", "L0H1"]);
    assert.deepEqual(arranged(names, value, "asc", "..0.5"), ["L1H1", "L0H0"]);
});

test("attended characters are ranked by share or by ratio", () => {
    const shares = [9, 9, 0.1, 0.6, 0.3], uniform = [0.01, 0.59, 0.4];
    assert.deepEqual(topAttended(shares, 2, uniform, "share", 2).map((one) => one.at), [1, 2]);
    assert.deepEqual(topAttended(shares, 2, uniform, "ratio", 2).map((one) => one.at), [0, 1]);
});

test("how far back a query attends is a mean weighted by attention", () => {
    const cells = Uint8Array.of(255, 255, 0, 128, 0, 128);
    assert.deepEqual([distances(cells, 3), distances(cells, 3, 2)], [[0, 1, 1], [0, 2, 2]]);
    assert.deepEqual(distances(Uint8Array.of(0), 1), [0]);
});

test("attention while generating is addressed by token, layer and head", () => {
    // A prompt of two tokens, two heads; contexts of one and of three tokens.
    const generated = new Generated({ prompt: 2, layers: 1, heads: 2, contexts: [1, 3] }, Uint8Array.of(255, 254, 0, 9, 250, 8, 7, 6));
    assert.deepEqual([[...generated.row(0, 0, 1)], [...generated.row(1, 0, 1)]], [[254], [8, 7, 6]]);
    assert.deepEqual([generated.widest, generated.start(0), generated.start(1)], [3, 1, 0]);
    assert.deepEqual(generated.most(1, 0, 0, 2), [{ at: 2, before: 1, weight: weight(250) }, { at: 1, before: 2, weight: weight(9) }]);
});

test("heads of a sample are laid out by layer, and what is missing is none", () => {
    const training = { layers: 2, heads: 2 };
    assert.deepEqual(matrixOf([[1, 2], [3, 4], [5, null]], training, 1), [[2, 4], [null, null]]);
});

test("the headline says what loss and entropy do", () => {
    const curve = (from, to) => [[0, from, null], [10, to, null]];
    const said = headline(curve(4.2, 1.9), [curve(1, 0.5), curve(1, 0.6)]);
    assert.match(said, /falls from 4.20 to 1.90, attention narrows: its mean entropy goes from 1.00 to 0.550/);
    assert.match(headline(curve(4, 4.1), [curve(0.5, 0.5)]), /goes from 4.00 to 4.10, attention hardly changes/);
    assert.match(headline(curve(4, 3), [curve(0.5, 0.9)]), /attention spreads/);
    assert.match(headline([[2000, 1.9]], [[[2000, 0.5]], [[2000, 0.7]]]), /^One checkpoint: its validation loss is 1.90, and the mean entropy of its attention 0.600/);
});

test("scales, colours and files", () => {
    const log = scaleOf([0, 1000], [0, 100], true);
    assert.deepEqual([log(0), log(1000), Math.round(log.invert(log(10)))], [0, 100, 10]);
    assert.deepEqual(extent([1, null, 3], 0.5), [0, 4]);
    const frame = { left: 0, right: 100 }, places = [10, 80, 60].map((at) => labelPlace(at, at === 60 ? "0123456789" : "01234", frame));
    assert.deepEqual(places, [{ x: 14, anchor: "start" }, { x: 76, anchor: "end" }, { x: 100, anchor: "end" }]);
    assert.equal(new Set(levels(false, "sqrt")).size > 200, true);
    assert.deepEqual([levels(true, "linear")[0], levels(true, "sqrt")[0]], [levels(true, "sqrt")[0], levels(true, "linear")[0]]);
    assert.notDeepEqual(signed(false, 0.5), signed(false, -0.5));
    assert.deepEqual([inkOn("rgb(255,255,255)"), inkOn("rgb(0,0,60)"), inkOn("rgb(98,168,198)")], ["#000", "#fff", "#000"]);
    assert.deepEqual([distinct(false, 10), distinct(true, 10)], [distinct(false, 0), distinct(true, 0)]);
    assert.equal(new Set(Array.from({ length: 10 }, (_, at) => distinct(true, at))).size, 10);
    assert.equal(csv([["a", 'b"c'], [null, "x,y\n"]]), 'a,"b""c"\r\n,"x,y\n"\r\n');
    assert.deepEqual([frames(22), frames(2), frames(1)], [[0, 4, 8, 13, 17, 21], [0, 1], [0]]);
    assert.deepEqual([crosses([[0, 0], [10, 10]], 4, 6, 0, 20), crosses([[0, 0], [10, 10]], 4, 6, 8, 20), crosses([[5, 5]], 4, 6, 4, 6)], [true, false, true]);
});
