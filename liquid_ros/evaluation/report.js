'use strict';
(() => {
  const root = document.documentElement;
  root.classList.add('js');
  const SVG = 'http://www.w3.org/2000/svg', GRID = 1000;

  // the theme stays for the next report
  const store = (value) => {
    try { return value === undefined ? localStorage.getItem('theme') : localStorage.setItem('theme', value); } catch { return null; }
  };
  const kept = document.getElementById(store() || 'auto');
  if (kept) kept.checked = true;
  document.querySelectorAll('.theme input').forEach((one) => one.addEventListener('change', () => store(one.id)));

  // a link into a closed section opens it; so does printing
  const reveal = () => {
    const at = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const section = at && at.closest('details');
    if (section) { section.open = true; at.scrollIntoView(); }
  };
  addEventListener('hashchange', reveal);
  reveal();
  let closed = [];
  addEventListener('beforeprint', () => {
    closed = [...document.querySelectorAll('details:not([open])')];
    closed.forEach((one) => { one.open = true; });
  });
  addEventListener('afterprint', () => closed.forEach((one) => { one.open = false; }));

  const limits = (text) => { const [low, high, log] = text.split(' ').map(Number); return {low, high, log}; };
  const place = (axis, v) => axis.log ? Math.log(v / axis.low) / Math.log(axis.high / axis.low) : (v - axis.low) / (axis.high - axis.low);
  const value = (axis, f) => axis.log ? axis.low * (axis.high / axis.low) ** f : axis.low + f * (axis.high - axis.low);
  const told = (v, span) => v.toFixed(Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(span || 1))))).replace('-', '\u2212');

  // points of a path as report_svg.py writes it
  const points = (path) => {
    if (path.decoded) return path.decoded;
    const out = [];
    let x = 0, y = 0;
    for (const [, kind, rest] of path.getAttribute('d').matchAll(/([Mml])([^Mmlhz]*)/g)) {
      const n = (rest.match(/-?\d+/g) || []).map(Number);
      for (let i = 0; i + 1 < n.length; i += 2) {
        if (kind === 'M') { x = n[i]; y = n[i + 1]; } else { x += n[i]; y += n[i + 1]; }
        out.push([x, y]);
      }
    }
    path.decoded = out;
    return out;
  };

  const plots = [...document.querySelectorAll('.area[data-x]')].map((area) => ({
    area, svg: area.querySelector('svg'), marks: area.querySelector('.marks'), section: area.closest('.stream'),
    sync: 'sync' in area.dataset, full: limits(area.dataset.x), x: limits(area.dataset.x), y: limits(area.dataset.y),
  }));
  const byArea = new Map(plots.map((plot) => [plot.area, plot]));

  const show = (plot, at) => {
    if (!plot.line) {
      plot.line = plot.svg.appendChild(document.createElementNS(SVG, 'line'));
      plot.line.setAttribute('class', 'cursor');
      plot.line.setAttribute('y2', '100%');
      plot.box = plot.area.appendChild(document.createElement('div'));
      plot.box.className = 'readout';
    }
    const f = place(plot.x, at);
    const inside = f >= 0 && f <= 1;
    plot.line.style.display = plot.box.style.display = inside ? '' : 'none';
    if (!inside) return;
    plot.line.setAttribute('x1', `${100 * f}%`);
    plot.line.setAttribute('x2', `${100 * f}%`);
    const reach = (plot.x.high - plot.x.low) / 40;
    const lines = [...plot.marks.querySelectorAll('path.line, path.dash')].map((path) => {
      let best = null, near = Infinity;
      for (const point of points(path)) {
        const away = Math.abs(value(plot.full, point[0] / GRID) - at);
        if (away < near) { near = away; best = point; }
      }
      if (!best || (!plot.x.log && near > reach)) return '';
      const v = value(plot.y, 1 - best[1] / GRID);
      return `${path.dataset.name || ''} ${plot.y.log ? v.toPrecision(3) : told(v, plot.y.high - plot.y.low)}`;
    });
    plot.box.textContent = [told(at, plot.x.high - plot.x.low), ...new Set(lines.filter(Boolean))].join(' \u00b7 ');
    plot.box.style.left = f < 0.5 ? `calc(${100 * f}% + 6px)` : 'auto';
    plot.box.style.right = f < 0.5 ? 'auto' : `calc(${100 * (1 - f)}% + 6px)`;
  };
  const hide = (plot) => { if (plot.line) plot.line.style.display = plot.box.style.display = 'none'; };

  // ticks of a zoomed time axis, and its marks
  const zoom = (plot, low, high) => {
    plot.x = {low, high, log: 0};
    const a = place(plot.full, low) * GRID, b = place(plot.full, high) * GRID;
    plot.marks.setAttribute('viewBox', `${a} 0 ${b - a} ${GRID}`);
    const rough = (high - low) / 6, power = 10 ** Math.floor(Math.log10(rough));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= rough * (1 - 1e-9));
    const ticks = plot.svg.querySelector('.xticks');
    ticks.textContent = '';
    for (let k = Math.ceil(low / step - 1e-9); k * step <= high * (1 + 1e-12); k++) {
      const text = ticks.appendChild(document.createElementNS(SVG, 'text'));
      text.setAttribute('x', `${100 * place(plot.x, k * step)}%`);
      text.setAttribute('y', '100%');
      text.textContent = (k * step).toFixed(Math.max(0, -Math.floor(Math.log10(step) + 1e-9))).replace('-', '\u2212');
    }
  };
  const zoomAll = (from, low, high) => plots.filter((one) => one.sync && one.section === from.section).forEach((one) => zoom(one, low, high));
  const fraction = (plot, event) => {
    const box = plot.svg.getBoundingClientRect();
    return Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  };

  let drag = null;
  document.addEventListener('pointermove', (event) => {
    const area = event.target.closest && event.target.closest('.area[data-x]');
    const plot = drag ? drag.plot : area && byArea.get(area);
    for (const one of plots) if (one.line && (!plot || (one !== plot && !(one.sync && plot.sync && one.section === plot.section)))) hide(one);
    if (!plot || plot.area.parentElement.classList.contains('path')) return;
    const f = fraction(plot, event);
    if (drag) {
      drag.box.style.left = `${100 * Math.min(f, drag.from)}%`;
      drag.box.style.right = `${100 * (1 - Math.max(f, drag.from))}%`;
    }
    const at = value(plot.x, f);
    if (plot.sync) plots.filter((one) => one.sync && one.section === plot.section).forEach((one) => show(one, at));
    else show(plot, at);
  });
  document.addEventListener('pointerdown', (event) => {
    const area = event.target.closest && event.target.closest('.area[data-sync]');
    if (!area || event.pointerType !== 'mouse' || event.button) return;
    const plot = byArea.get(area);
    const box = area.appendChild(document.createElement('div'));
    box.className = 'zoomed';
    drag = {plot, box, from: fraction(plot, event)};
    box.style.left = `${100 * drag.from}%`;
    box.style.right = `${100 * (1 - drag.from)}%`;
    event.preventDefault();
  });
  const release = (event) => {
    if (!drag) return;
    const {plot, box, from} = drag, to = fraction(plot, event);
    drag = null;
    box.remove();
    if (event.type === 'pointerup' && Math.abs(to - from) > 0.01) {
      zoomAll(plot, value(plot.x, Math.min(from, to)), value(plot.x, Math.max(from, to)));
    }
  };
  document.addEventListener('pointerup', release);
  document.addEventListener('pointercancel', release);
  document.addEventListener('dblclick', (event) => {
    const area = event.target.closest && event.target.closest('.area[data-sync]');
    if (area) { const plot = byArea.get(area); zoomAll(plot, plot.full.low, plot.full.high); }
  });
  // one plot of a section takes the keys for all that share its time
  const steps = {ArrowLeft: -1, ArrowRight: 1}, zooms = {'+': 0.5, '=': 0.5, '-': 2};
  for (const section of new Set(plots.map((plot) => plot.section))) {
    const plot = plots.find((one) => one.sync && one.section === section);
    if (!plot) continue;
    plot.area.tabIndex = 0;
    plot.area.setAttribute('role', 'group');
    plot.area.setAttribute('aria-label', 'Arrow keys move the cursor, plus and minus zoom, Escape shows all');
    plot.area.addEventListener('keydown', (event) => {
      const {low, high} = plot.x, span = high - low;
      let at = plot.at === undefined || plot.at < low || plot.at > high ? 0.5 * (low + high) : plot.at;
      if (event.key in steps) at += steps[event.key] * span * (event.shiftKey ? 0.1 : 0.01);
      else if (event.key in zooms) {
        const half = Math.min(0.5 * span * zooms[event.key], 0.5 * (plot.full.high - plot.full.low));
        const middle = Math.min(plot.full.high - half, Math.max(plot.full.low + half, at));
        zoomAll(plot, middle - half, middle + half);
      } else return;
      event.preventDefault();
      plot.at = Math.min(plot.x.high, Math.max(plot.x.low, at));
      plots.filter((one) => one.sync && one.section === section).forEach((one) => show(one, plot.at));
    });
    plot.area.addEventListener('blur', () => plots.forEach(hide));
  }
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape') return;
    plots.filter((one) => one.sync).forEach((one) => { zoom(one, one.full.low, one.full.high); hide(one); });
  });
})();
