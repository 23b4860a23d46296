"use strict";
/* The charts: drawn by plotly from plain numbers. Plotly never draws a text of a case, parts of which it would take for
   markup; what is told of a point stands in an element of the page's own. */

const INK = "#1b2330", QUIET = "#5b6675", LINE = "#d5dae1";
const FONT = { family: "system-ui, sans-serif", size: 13, color: INK };

/* Draws what there is to draw. hit(line) is called with the line of a point that was clicked, hover(text or line or null,
   x, y) with what the pointer is on. Returns mark(line), dim(lines that are shown), and fit(width or null). */
function drawCharts(data, hit, hover) {
  const drawn = [];
  /* Many points are drawn small, so that they do not hide each other. */
  const sized = (most) => Math.max(5, Math.round(most * Math.min(1, (80 / (data.cases.length + 1)) ** 0.3)));
  if (!window.Plotly) { return { mark() {}, dim() {}, fit() {} }; }
  const touch = window.matchMedia("(pointer: coarse)").matches;
  const config = {
    displaylogo: false, responsive: true, displayModeBar: true, plotlyServerURL: "",
    modeBarButtons: [["toImage", ...(touch ? [] : ["zoom2d", "pan2d"]), "resetScale2d"]],
  };

  function legendAt(y) {
    return { orientation: "h", x: 0, y, yanchor: "top", font: { size: 12 }, itemclick: false, itemdoubleclick: false };
  }

  function draw(name, traces, layout, ring) {
    const place = document.getElementById(`chart-${name}`);
    if (!place || traces.length === 0) { return; }
    const marked = {
      x: [], y: [], mode: "markers", type: "scatter", hoverinfo: "skip", showlegend: false, cliponaxis: false,
      marker: { size: 20, symbol: "circle-open", color: INK, line: { width: 3, color: INK } },
    };
    const all = ring ? [...traces, marked] : traces;
    const axis = { gridcolor: "#eceff3", linecolor: LINE, zeroline: false, automargin: true, fixedrange: touch };
    const whole = {
      font: FONT, paper_bgcolor: "#fff", plot_bgcolor: "#fff", hovermode: "closest", dragmode: touch ? false : "zoom",
      margin: { l: 50, r: 12, t: 32, b: 40 }, showlegend: true, bargap: 0.06,
      ...layout,
      xaxis: { ...axis, ...layout.xaxis }, yaxis: { ...axis, ...layout.yaxis },
    };
    Plotly.newPlot(place, all, whole, config);
    drawn.push({ place, all, ring: ring ? all.length - 1 : null });
    place.on("plotly_click", (event) => {
      const line = event.points[0].customdata;
      if (Number.isInteger(line)) { hit(line); }
    });
    place.on("plotly_hover", (event) => {
      const what = event.points[0].customdata;
      if (what !== undefined && what !== null && event.event) { hover(what, event.event.clientX, event.event.clientY); }
    });
    place.on("plotly_unhover", () => hover(null, 0, 0));
  }

  /* As small as this an octagon is nearly a circle, so it is a little larger. The map's legend tells what the shapes are; the other charts keep theirs for their lines. */
  function byLight(points, x, y, line, size, legend) {
    return Object.entries(data.lights).map(([light, look]) => {
      const own = points.filter((point) => point.light === light);
      return {
        x: own.map(x), y: own.map(y), customdata: own.map(line), name: look.word, mode: "markers", type: "scatter",
        hoverinfo: "none", showlegend: legend && own.length > 0, cliponaxis: false,
        marker: { symbol: look.symbol, color: look.colour, size: light === "red" ? size + 2 : size, line: { width: 1.3, color: INK } },
      };
    });
  }

  function map() {
    const placed = data.cases.map((one, line) => ({ ...one, line })).filter((one) => one.x !== undefined);
    if (placed.length + data.training.length === 0) { return; }
    const known = data.training.map((one) => `Training case ${one[3]}${one[2] === null ? "" : `, Dice ${one[2].toFixed(2)}`}`);
    const training = {
      x: data.training.map((one) => one[0]), y: data.training.map((one) => one[1]), customdata: known,
      name: "Training cases", mode: "markers", type: "scatter", hoverinfo: "none",
      marker: { color: "#c3cad3", size: 6, line: { width: 0 } },
    };
    const bare = { showticklabels: false, showgrid: false, title: { text: "" }, mirror: true, showline: true };
    draw("map", [training, ...byLight(placed, (p) => p.x, (p) => p.y, (p) => p.line, sized(12), true)],
      { xaxis: bare, yaxis: { ...bare, scaleanchor: "x" }, margin: { l: 8, r: 8, t: 32, b: 8 }, legend: legendAt(-0.03) }, true);
  }

  function scores() {
    const { from, width, counts, expected, levels, last } = data.scores;
    if (from.length === 0) { return; }
    const middle = from.map((left) => left + width / 2);
    const span = (left) => (last !== null && left >= last ? `${last} or more` : `${left.toFixed(1)} to ${(left + width).toFixed(1)}`);
    const traces = Object.entries(data.lights).filter(([light]) => counts[light].some((n) => n > 0)).map(([light, look]) => ({
      x: middle, y: counts[light], name: look.word, type: "bar", width, hoverinfo: "none",
      customdata: from.map((left, bar) => `Score ${span(left)}: ${counts[light][bar]} cases, ${look.word}`),
      marker: { color: look.colour, line: { width: 1, color: INK }, pattern: { shape: look.pattern, fillmode: "overlay", fgcolor: INK, size: 6, solidity: 0.25 } },
    }));
    if (expected !== null) {
      traces.push({
        x: middle, y: expected, name: "Expected of cases like the training cases", type: "scatter", mode: "lines", hoverinfo: "skip",
        line: { shape: "hvh", color: QUIET, width: 2, dash: "dot" },
      });
    }
    const most = Math.max(...from.map((_, bar) => Object.values(counts).reduce((sum, own) => sum + own[bar], 0)));
    const lines = Object.entries(levels).map(([light, x]) => ({ light, x: last !== null ? Math.min(x, last) : x }));
    draw("scores", traces, {
      barmode: "stack", xaxis: { title: { text: "score", standoff: 6 } }, yaxis: { title: { text: "cases" }, rangemode: "tozero", ...(most < 6 ? { dtick: 1 } : {}) },
      shapes: lines.map(({ light, x }) => ({
        type: "line", x0: x, x1: x, yref: "paper", y0: 0, y1: 1, line: { color: INK, width: 1.5, dash: light === "red" ? "solid" : "dash" },
      })),
      legend: legendAt(-0.28),
    }, false);
  }

  function ranked() {
    const { points, n, flagged, rate } = data.ranked;
    if (points.length === 0) { return; }
    const named = points.map(([rank, p, light, line]) => ({ rank, p, light, line }));
    const low = named.filter((point) => point.p <= 0.25).length;
    const right = Math.max(10, Math.round(low * 1.08) + 1);
    const traces = byLight(named, (p) => p.rank, (p) => p.p, (p) => (p.line === null ? `p-value ${p.p.toFixed(3)}` : p.line), sized(10), false);
    const level = (light, dash) => ({
      x: [0, Math.max(n, right)], y: [data.levels[light], data.levels[light]], mode: "lines", type: "scatter", hoverinfo: "skip",
      name: `${data.lights[light].word}: p ${data.levels[light].toFixed(2)}`, line: { color: QUIET, width: 1.5, dash },
    });
    traces.unshift(level("amber", "dash"), level("red", "dot"), {
      x: [0, n], y: [0, rate], mode: "lines", type: "scatter", hoverinfo: "skip", line: { color: INK, width: 2 },
      name: `At most ${Math.round(100 * rate)}% false alarms (${flagged} flagged)`,
    });
    draw("ranked", traces, {
      xaxis: { title: { text: "cases, the smallest p-value first", standoff: 6 }, range: [0, right] },
      yaxis: { title: { text: "p-value" }, range: [-0.005, 0.25] }, legend: legendAt(-0.28),
    }, true);
  }

  function drift() {
    const { points, limit, alarm, begun } = data.drift;
    if (points.length === 0) { return; }
    const named = points.map(([order, sum, light, line]) => ({ order, sum, light, line }));
    const path = {
      x: named.map((p) => p.order), y: named.map((p) => p.sum), mode: "lines", type: "scatter", hoverinfo: "skip",
      showlegend: false, line: { color: QUIET, width: 1.5 },
    };
    const end = Math.max(named[named.length - 1].order, 2);
    const line = {
      x: [1, end], y: [limit, limit], mode: "lines", type: "scatter", hoverinfo: "skip", name: "Alarm",
      line: { color: INK, width: 2, dash: "dash" },
    };
    const traces = [path, line, ...byLight(named, (p) => p.order, (p) => p.sum,
      (p) => (p.line === null ? `Case number ${p.order}` : p.line), sized(10), false)];
    draw("drift", traces, {
      xaxis: { title: { text: "cases, as they came", standoff: 6 }, rangemode: "tozero" },
      yaxis: { title: { text: "sum (CUSUM)" }, rangemode: "tozero" },
      shapes: alarm === null ? [] : [{
        type: "rect", x0: begun - 0.5, x1: alarm + 0.5, yref: "paper", y0: 0, y1: 1, layer: "below", line: { width: 0 }, fillcolor: "#f1e3c8",
      }],
      legend: legendAt(-0.28),
    }, true);
  }

  for (const chart of [map, scores, ranked, drift]) { chart(); }

  return {
    mark(line) {
      for (const { place, all, ring } of drawn) {
        if (ring === null) { continue; }
        const found = { x: [], y: [] };
        for (const trace of all.slice(0, ring)) {
          const at = line === null || !trace.customdata ? -1 : trace.customdata.indexOf(line);
          if (at >= 0) { found.x.push(trace.x[at]); found.y.push(trace.y[at]); }
        }
        Plotly.restyle(place, { x: [found.x], y: [found.y] }, [ring]);
      }
    },
    dim(shown) {
      const first = drawn.find(({ place }) => place.id === "chart-map");
      if (!first) { return; }
      first.all.forEach((trace, number) => {
        if (trace.customdata && Number.isInteger(trace.customdata[0])) {
          Plotly.restyle(first.place, { "marker.opacity": [trace.customdata.map((line) => (shown.has(line) ? 1 : 0.12))] }, [number]);
        }
      });
    },
    fit(width) {
      for (const { place } of drawn) {
        Plotly.relayout(place, width === null ? { autosize: true, width: null } : { autosize: false, width });
      }
    },
  };
}
