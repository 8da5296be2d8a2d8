"use strict";

// The charts of the page. Every run's numbers stand in the element `data`: of each part of the run the lowest and the
// highest value with their steps, and the mean, as arrays of 32 bits in base64.
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const root = document.documentElement;

  // MARK: Numbers

  function bytes(text) {
    const raw = atob(text);
    const result = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) result[i] = raw.charCodeAt(i);
    return result.buffer;
  }
  const floats = text => new Float32Array(bytes(text));
  const wholes = text => new Uint32Array(bytes(text));

  /** The first place in a rising list whose value is not below `value`. */
  function firstNotBelow(list, value) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (list[middle] < value) low = middle + 1; else high = middle;
    }
    return low;
  }

  /** The place in a rising list whose value is nearest. */
  function nearest(list, value) {
    const place = firstNotBelow(list, value);
    if (place === 0 || place < list.length && list[place] - value < value - list[place - 1]) return place;
    return place - 1;
  }

  /** A number for people: few digits, and k, M, G for large ones. */
  function short(value, digits = 4) {
    const size = Math.abs(value);
    if (value === 0) return "0";
    for (const [unit, name] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]]) {
      if (size >= unit * (unit === 1e3 ? 10 : 1)) return +(value / unit).toPrecision(digits) + name;
    }
    if (size < 1e-3) return value.toExponential(Math.min(3, digits - 1)).replace(/\.?0*e/, "e");
    return String(+value.toPrecision(Math.max(digits, 4)));
  }

  const runs = data.runs.map((run, index) => {
    const series = {};
    for (const [field, text] of Object.entries(run.series)) {
      series[field] = {
        step: wholes(text.step), value: floats(text.value), mean: floats(text.mean), missing: wholes(text.missing), x: {},
      };
    }
    const { step, count, tokens, hours } = run.axis;
    const axis = { step: wholes(step), count: wholes(count), tokens: floats(tokens), hours: floats(hours) };
    return { name: run.name, index, shown: true, events: run.events, times: wholes(run.times), axis, series };
  });

  /** Where a step of a run lies on an axis: between the ends of the parts it goes straight. */
  function position(run, step, axis) {
    if (axis === "step") return step;
    const steps = run.axis.step, values = run.axis[axis];
    const place = Math.min(firstNotBelow(steps, step), steps.length - 1);
    const [before, start] = place > 0 ? [steps[place - 1], values[place - 1]] : [0, 0];
    const share = steps[place] > before ? Math.min(1, (step - before) / (steps[place] - before)) : 1;
    return start + share * (values[place] - start);
  }

  /** The places of a series' points, or of the ends of a run's parts, on an axis. */
  function positions(run, series, axis) {
    series.x[axis] ??= Float64Array.from(series.step, step => position(run, step, axis));
    return series.x[axis];
  }

  /** A running mean whose weights fall by e over `reach` steps. They are divided by their sum, so the start is not drawn to 0. */
  function smoothed(run, series, reach) {
    const x = [], y = [], { step, count } = run.axis;
    let sum = 0, weight = 0, last = 0;
    for (let i = 0; i < step.length; i++) {
      if (Number.isNaN(series.mean[i])) continue;
      const kept = Math.exp((last - step[i]) / reach);
      sum = sum * kept + series.mean[i] * count[i];
      weight = weight * kept + count[i];
      last = step[i];
      x.push(position(run, step[i], state.axis));
      y.push(sum / weight);
    }
    return { x, y };
  }

  // MARK: Scales

  /** Takes values of a range to 0 … 1. */
  class Scale {
    constructor(low, high, isLog) {
      this.isLog = isLog && low > 0;
      if (!(high > low)) [low, high] = this.isLog ? [low / 2, low * 2] : [low - (Math.abs(low) || 1) / 2, low + (Math.abs(low) || 1) / 2];
      [this.low, this.high] = [low, high];
      [this.from, this.to] = [this.bend(low), this.bend(high)];
    }
    bend(value) { return this.isLog ? Math.log10(value) : value; }
    share(value) { return (this.bend(value) - this.from) / (this.to - this.from); }
    value(share) {
      const bent = this.from + share * (this.to - this.from);
      return this.isLog ? 10 ** bent : bent;
    }
    /** About `count` round values of the range. */
    ticks(count) {
      const result = [];
      if (this.isLog && this.to - this.from > 0.9) {
        const decades = this.to - this.from;
        const factors = decades < 1.6 ? [1, 2, 3, 5] : decades < count / 2 ? [1, 3] : [1];
        const stride = Math.max(1, Math.ceil(decades / count));
        for (let power = Math.floor(this.from); power <= this.to; power += 1) {
          if (power % stride !== 0) continue;
          for (const factor of factors) {
            const value = factor * 10 ** power;
            if (value >= this.low && value <= this.high) result.push(value);
          }
        }
        return result;
      }
      const rough = (this.high - this.low) / count, power = 10 ** Math.floor(Math.log10(rough));
      const step = power * ([1, 2, 5].find(factor => factor * power >= rough) ?? 10);
      for (let i = Math.ceil(this.low / step); i * step <= this.high; i++) result.push(+(i * step).toPrecision(12));
      return result;
    }
  }

  // MARK: What is shown

  const state = { axis: "step", logX: false, reach: 0, cursor: null };
  const axisNames = { step: "steps", tokens: "tokens", hours: "hours of steps" };
  const span = Math.max(...runs.map(run => run.axis.step.at(-1)));

  const lines = (...list) => list.map(([field, name, dash, isSmooth]) => ({ field, name, dash: dash ?? [], isSmooth }));
  const definitions = [
    { title: "Loss", unit: "nats", isLarge: true,
      lines: lines(["train_loss", "train", [], true], ["val_loss", "validation", [6, 3], false]) },
    { title: "Learning rate", unit: "", lines: lines(["lr", "rate"], ["muon_lr", "Muon's rate", [6, 3]]) },
    { title: "Gradient norm", unit: "", lines: lines(["grad_norm", "norm", [], true]) },
    { title: "Throughput", unit: "tokens/s", lines: lines(["tokens_per_second", "speed", [], true]) },
    { title: "Share of the ceiling", unit: "", lines: lines(["ceiling_share", "share", [], true]) },
    { title: "Validation", unit: "bits a byte", lines: lines(["val_bpb", "validation", [6, 3]]) },
    { title: "Time of a step", unit: "% of steps", isHistogram: true, lines: lines(["times", "steps"]) },
  ];

  // MARK: A chart

  class Chart {
    constructor(definition) {
      Object.assign(this, definition);
      this.logY = false;
      this.canvas = document.createElement("canvas");
      this.readout = document.createElement("output");
      const figure = document.createElement("figure"), caption = document.createElement("figcaption");
      const title = document.createElement("h2"), label = document.createElement("label");
      const box = document.createElement("input");
      box.type = "checkbox";
      box.addEventListener("change", () => { this.logY = box.checked; redraw(); });
      title.textContent = this.unit ? `${this.title}, ${this.unit}` : this.title;
      label.append(box, " log values");
      box.setAttribute("aria-label", `log values, ${this.title}`);
      caption.append(title, label);
      if (this.isLarge) figure.className = "large";
      this.readout.className = "readout";
      this.readout.setAttribute("aria-live", "polite");
      this.canvas.tabIndex = 0;
      this.canvas.setAttribute("role", "application");
      this.canvas.setAttribute("aria-roledescription", "chart");
      this.canvas.setAttribute("aria-label", `${title.textContent}. Arrow keys read values, Home and End go to the ends, Escape leaves.`);
      figure.append(caption, this.canvas, this.readout);
      document.getElementById("charts").append(figure);
      this.listen();
    }

    /** A histogram has an axis of its own, and so a cursor of its own. */
    get cursor() { return this.isHistogram ? this.ownCursor ?? null : state.cursor; }
    set cursor(value) { if (this.isHistogram) this.ownCursor = value; else state.cursor = value; }

    listen() {
      const point = event => {
        const box = this.canvas.getBoundingClientRect();
        this.moveTo((event.clientX - box.left - this.left) / (box.width - this.left - this.right));
      };
      this.canvas.addEventListener("pointerdown", point);
      this.canvas.addEventListener("pointermove", point);
      this.canvas.addEventListener("pointerleave", event => {
        if (event.pointerType === "mouse") { this.cursor = null; redraw(); }
      });
      this.canvas.addEventListener("keydown", event => {
        const step = event.shiftKey ? 0.05 : 0.005;
        const now = this.cursor === null ? 0.5 : this.x.share(this.cursor);
        const moves = { ArrowLeft: now - step, ArrowRight: now + step, Home: 0, End: 1 };
        if (event.key === "Escape") { this.cursor = null; redraw(); }
        if (!(event.key in moves)) return;
        event.preventDefault();
        this.moveTo(moves[event.key]);
      });
      new ResizeObserver(redraw).observe(this.canvas);
    }

    moveTo(share) {
      if (!this.x) return;
      this.cursor = this.x.value(Math.min(1, Math.max(0, share)));
      redraw();
    }

    /** What is to be drawn now: of each line of each run that is shown the points, and the smoothed line where there is one. */
    curves() {
      const found = [];
      for (const run of runs.filter(run => run.shown)) {
        for (const line of this.lines) {
          if (this.isHistogram) {
            const total = run.times.reduce((sum, count) => sum + count, 0);
            const bins = [...run.times.keys()].filter(i => run.times[i] || run.times[i - 1] || run.times[i + 1]);
            if (total) found.push({ run, line, x: bins.map(i => data.bins[i]), y: bins.map(i => 100 * run.times[i] / total) });
            continue;
          }
          const series = run.series[line.field];
          if (!series) continue;
          const curve = { run, line, series, x: positions(run, series, state.axis), y: series.value };
          if (line.isSmooth && state.reach > 0) curve.smooth = smoothed(run, series, state.reach);
          found.push(curve);
        }
      }
      return found;
    }

    /** The lowest and highest value of a list, those alone that a logarithm has where one is to be taken. */
    static range(lists, isLog) {
      let low = Infinity, high = -Infinity;
      for (const list of lists) {
        for (const value of list) {
          if (!Number.isFinite(value) || isLog && value <= 0) continue;
          if (value < low) low = value;
          if (value > high) high = value;
        }
      }
      return low <= high ? [low, high] : [isLog ? 0.1 : 0, 1];
    }

    draw() {
      const { width, height } = this.canvas.getBoundingClientRect();
      if (!width || !height) return;
      const ratio = window.devicePixelRatio || 1, context = this.canvas.getContext("2d");
      this.canvas.width = Math.round(width * ratio);
      this.canvas.height = Math.round(height * ratio);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
      const style = getComputedStyle(root), colour = name => style.getPropertyValue("--" + name).trim();
      const curves = this.curves();
      const logX = this.isHistogram || state.logX;
      this.x = new Scale(...Chart.range(curves.map(curve => curve.x), logX), logX);
      let [low, high] = Chart.range(curves.map(curve => curve.smooth?.y ?? curve.y), this.logY);
      const y = this.y = this.logY ? new Scale(low / 1.08, high * 1.08, true) : new Scale(low - (high - low) * 0.04, high + (high - low) * 0.04);
      context.font = "12px system-ui, sans-serif";
      const ticks = y.ticks(Math.max(3, height / 50)), labels = ticks.map(tick => short(tick, 6));
      [this.left, this.right] = [Math.max(...labels.map(text => context.measureText(text).width), 20) + 12, 18];
      const top = 14, bottom = height - 36, area = { left: this.left, right: width - this.right, top, bottom };
      const toX = value => area.left + this.x.share(value) * (area.right - area.left);
      const toY = value => bottom - y.share(value) * (bottom - top);

      // Grid and labels.
      context.strokeStyle = colour("grid");
      context.fillStyle = colour("muted");
      context.lineWidth = 1;
      context.textBaseline = "middle";
      context.textAlign = "right";
      ticks.forEach((tick, i) => {
        strokePath(context, [[area.left, toY(tick)], [area.right, toY(tick)]]);
        context.fillText(labels[i], area.left - 6, toY(tick));
      });
      context.textBaseline = "top";
      context.textAlign = "center";
      let free = -Infinity;
      for (const tick of this.x.ticks(Math.max(2, width / 90))) {
        const text = short(tick, 6), half = context.measureText(text).width / 2, x = toX(tick);
        strokePath(context, [[x, top], [x, bottom]]);
        if (x - half < free || x + half > width) continue;
        context.fillText(text, x, bottom + 5);
        free = x + half + 8;
      }
      context.fillText(this.isHistogram ? "milliseconds" : axisNames[state.axis], (area.left + area.right) / 2, bottom + 20);

      if (!this.isHistogram) for (const run of runs) if (run.shown) this.drawEvents(context, run, colour(`run-${run.index % 8}`), toX, area);
      context.save();
      context.beginPath();
      // A little wider, for the marks at the ends.
      context.rect(area.left - 5, top - 3, area.right - area.left + 10, bottom - top + 6);
      context.clip();
      for (const curve of curves) this.drawCurve(context, curve, colour(`run-${curve.run.index % 8}`), toX, toY, bottom);
      context.restore();
      this.drawCursor(context, curves, colour, toX, toY, area);
    }

    drawCurve(context, curve, colour, toX, toY, bottom) {
      const points = ({ x, y }) => Array.from(x, (value, i) => [toX(value), toY(y[i])]);
      context.strokeStyle = context.fillStyle = colour;
      context.setLineDash(curve.line.dash);
      context.lineJoin = "round";
      context.lineWidth = 1.5;
      if (this.isHistogram) {
        // A step for each bin.
        const corners = points(curve).flatMap(([x, y], i, all) => [[x, y], [all[i + 1]?.[0] ?? x, y]]);
        strokePath(context, corners);
      } else if (curve.smooth) {
        context.globalAlpha = 0.3;
        context.lineWidth = 1;
        strokePath(context, points(curve));
        context.globalAlpha = 1;
        context.lineWidth = 2;
        strokePath(context, points(curve.smooth));
      } else {
        strokePath(context, points(curve));
      }
      context.setLineDash([]);
      // Few points are seen as such; validation always is one of few.
      if (!this.isHistogram && curve.x.length <= 60) {
        for (const [x, y] of points(curve)) if (Number.isFinite(y)) drawShape(context, curve.run.index, x, y, 3);
      }
      // Where the number was none.
      if (curve.series) for (const step of curve.series.missing) drawShape(context, 4, toX(position(curve.run, step, state.axis)), bottom - 6, 4);
    }

    /** Starts and ends of a run: ■ stopped, ● finished, × failed, left of the place; ▲ went on, right of it. */
    drawEvents(context, run, colour, toX, area) {
      for (const event of run.events) {
        const x = toX(position(run, event.step, state.axis));
        if (!Number.isFinite(x)) continue;
        context.strokeStyle = context.fillStyle = colour;
        context.lineWidth = 1;
        context.globalAlpha = 0.6;
        context.setLineDash([2, 3]);
        if (event.kind === "resumed") strokePath(context, [[x, area.top], [x, area.bottom]]);
        context.setLineDash([]);
        context.globalAlpha = 1;
        drawShape(context, { resumed: 2, stopped: 1, failed: 4, finished: 0 }[event.kind] ?? 0, x + (event.kind === "resumed" ? 5 : -5), 6, 4);
      }
    }

    /** The line of the cursor, and the value that each curve has there, drawn and in words. */
    drawCursor(context, curves, colour, toX, toY, area) {
      const cursor = this.cursor;
      this.readout.replaceChildren();
      if (cursor === null || !curves.length) {
        this.readout.textContent = "\u00a0";
        return;
      }
      context.strokeStyle = colour("text");
      context.lineWidth = 1;
      strokePath(context, [[toX(cursor), area.top], [toX(cursor), area.bottom]]);
      const place = document.createElement("span");
      const shownPlace = this.isHistogram ? short(cursor, 3) : state.axis === "step" ? Math.round(cursor) : short(cursor, 4);
      place.textContent = `${shownPlace} ${this.isHistogram ? "ms" : axisNames[state.axis]}`;
      this.readout.append(place);
      for (const { run, line, x, y, smooth } of curves) {
        const [xs, ys] = smooth ? [smooth.x, smooth.y] : [x, y];
        // A run that has ended before has no value here.
        if (!xs.length || cursor > xs.at(-1) + (this.x.high - this.x.low) / 100) continue;
        const i = this.isHistogram ? Math.max(0, firstNotBelow(xs, cursor * 1.0001) - 1) : nearest(xs, cursor);
        const item = document.createElement("span"), key = document.createElement("i");
        key.style.background = context.fillStyle = colour(`run-${run.index % 8}`);
        const name = [runs.length > 1 ? run.name : "", this.lines.length > 1 ? line.name : ""].filter(Boolean).join(" ");
        item.append(key, `${name} ${short(ys[i], 5)}`);
        this.readout.append(item);
        if (!this.isHistogram) drawShape(context, run.index, toX(xs[i]), toY(ys[i]), 4);
      }
      // It only grows, so that the page does not jump below the pointer.
      this.readout.style.minHeight = `${this.readout.offsetHeight}px`;
    }
  }

  /** A line through points; one that is not finite interrupts it. */
  function strokePath(context, points) {
    context.beginPath();
    let isOpen = false;
    for (const [x, y] of points) {
      if (!Number.isFinite(x) || !Number.isFinite(y)) { isOpen = false; continue; }
      if (isOpen) context.lineTo(x, y); else context.moveTo(x, y);
      isOpen = true;
    }
    context.stroke();
  }

  /** The mark of a run: circle, square, triangle, diamond, cross. */
  function drawShape(context, kind, x, y, size) {
    context.beginPath();
    switch (kind % 5) {
    case 0: context.arc(x, y, size, 0, 2 * Math.PI); break;
    case 1: context.rect(x - size, y - size, 2 * size, 2 * size); break;
    case 2: context.moveTo(x, y - size); context.lineTo(x + size, y + size); context.lineTo(x - size, y + size); break;
    case 3: context.moveTo(x, y - size); context.lineTo(x + size, y); context.lineTo(x, y + size); context.lineTo(x - size, y); break;
    default:
      context.lineWidth = 1.5;
      for (const slope of [1, -1]) { context.moveTo(x - size, y - slope * size); context.lineTo(x + size, y + slope * size); }
      context.stroke();
      return;
    }
    context.fill();
  }

  // MARK: The page

  const charts = definitions.filter(definition => definition.isHistogram
    ? runs.some(run => run.times.some(count => count > 0))
    : definition.lines.some(line => runs.some(run => run.series[line.field]))
  ).map(definition => new Chart(definition));

  let isWaiting = false;
  function redraw() {
    if (isWaiting) return;
    isWaiting = true;
    requestAnimationFrame(drawAll);
  }
  function drawAll() {
    isWaiting = false;
    for (const chart of charts) chart.draw();
  }

  const legend = document.getElementById("legend");
  for (const run of runs) {
    const button = document.createElement("button"), key = document.createElement("i"), name = document.createElement("span");
    button.type = "button";
    button.setAttribute("aria-pressed", "true");
    key.style.background = `var(--run-${run.index % 8})`;
    name.textContent = button.title = run.name;
    button.append(key, name);
    button.addEventListener("click", () => {
      run.shown = !run.shown;
      button.setAttribute("aria-pressed", String(run.shown));
      redraw();
    });
    legend.append(button);
  }

  for (const input of document.querySelectorAll("input[name=axis]")) {
    input.addEventListener("change", () => {
      state.axis = input.value;
      state.cursor = null;
      redraw();
    });
  }
  document.getElementById("log-x").addEventListener("change", event => { state.logX = event.target.checked; redraw(); });

  const smoothing = document.getElementById("smoothing");
  smoothing.addEventListener("input", () => {
    // From two steps, or a thousandth of the run, to a fifth of it: each move of the slider is the same factor.
    const share = +smoothing.value / 100, least = Math.max(2, span / 1000), most = Math.max(least * 2, span / 5);
    state.reach = share === 0 ? 0 : Math.round(least * (most / least) ** share);
    const text = state.reach ? `over ${short(state.reach, 2)} steps` : "off";
    document.getElementById("smoothing-text").textContent = text;
    smoothing.setAttribute("aria-valuetext", text);
    redraw();
  });

  const themes = ["system", "light", "dark"], theme = document.getElementById("theme");
  theme.addEventListener("click", () => {
    const next = themes[(themes.indexOf(root.dataset.theme ?? "system") + 1) % themes.length];
    if (next === "system") delete root.dataset.theme; else root.dataset.theme = next;
    theme.textContent = `theme: ${next}`;
    redraw();
  });

  const differences = document.getElementById("only-differences");
  differences?.addEventListener("change", () => {
    document.getElementById("options").classList.toggle("only", differences.checked);
  });

  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  // Paper is white.
  addEventListener("beforeprint", () => { root.dataset.print = ""; drawAll(); });
  addEventListener("afterprint", () => { delete root.dataset.print; redraw(); });
  document.getElementById("controls").hidden = false;
  redraw();
})();
