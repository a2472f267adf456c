// The image with its box: zoom, drawing, handles. Boxes are [x_min, x_max, y_min, y_max], normalised.

const SVG = "http://www.w3.org/2000/svg";

/** The edges that a handle moves; the middle handle moves all of them. */
const HANDLES = {
  nw: [0, 2], n: [2], ne: [1, 2], e: [1], se: [1, 3], s: [3], sw: [0, 3], w: [0], c: [0, 1, 2, 3],
};
/** What the arrow keys move, in the order of the key E: the box, then each of its edges. */
export const PARTS = [
  { name: "whole box", handle: "c" },
  { name: "left edge", handle: "w" },
  { name: "right edge", handle: "e" },
  { name: "top edge", handle: "n" },
  { name: "bottom edge", handle: "s" },
];
const MAX_ZOOM = 16;
/** Shortest side of a box in pixels of the screen; less is a click. */
const MIN_SIDE = 4;
/** Free space around the image, in pixels of the screen. */
const MARGIN = 16;

const clamp = (value, low = 0, high = 1) => Math.min(Math.max(value, low), high);

export class View {
  /**
   * @param {HTMLElement} stage Contains the picture, the overlay and the tag.
   * @param {() => void} onEdit Called before the user changes the box.
   * @param {() => void} onChange Called after each change of the box.
   */
  constructor(stage, onEdit, onChange) {
    this.stage = stage;
    this.overlay = stage.querySelector("svg");
    this.picture = stage.querySelector("img");
    this.tag = stage.querySelector(".tag");
    this.onEdit = onEdit;
    this.onChange = onChange;
    this.box = null;
    this.other = null;
    this.part = 0;
    this.tagText = "";
    this.isProposed = false;
    this.pointers = new Map();
    this.makeHandles();
    this.fit();
    new ResizeObserver(() => this.draw()).observe(stage);
    stage.addEventListener("pointerdown", (event) => this.press(event));
    stage.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"]) {
      stage.addEventListener(name, (event) => this.release(event));
    }
    stage.addEventListener("wheel", (event) => this.turnWheel(event), { passive: false });
  }

  makeHandles() {
    const coarse = matchMedia("(pointer: coarse)").matches;
    const group = this.overlay.querySelector("g");
    this.handles = {};
    for (const name of Object.keys(HANDLES)) {
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("class", "handle");
      circle.setAttribute("r", name === "c" ? 4 : 5);
      const grip = document.createElementNS(SVG, "circle");
      grip.setAttribute("class", `grip ${name}`);
      grip.setAttribute("r", coarse ? 22 : 11);
      grip.dataset.handle = name;
      group.append(circle, grip);
      this.handles[name] = { circle, grip };
    }
  }

  /** Show a decoded picture and its box. */
  show(image, box, { other = null, isProposed = false } = {}) {
    image.alt = "";
    image.id = "picture";
    image.draggable = false;
    this.picture.replaceWith(image);
    this.picture = image;
    this.box = box;
    this.other = other;
    this.isProposed = isProposed;
    this.part = 0;
    this.pointers.clear();
    this.action = null;
    this.fit();
  }

  fit() {
    this.zoom = 1;
    this.center = [0.5, 0.5];
    this.draw();
  }

  /** Place of the image on the stage: scale, left and top. */
  place() {
    const { clientWidth, clientHeight } = this.stage;
    const width = this.picture.naturalWidth || 1;
    const height = this.picture.naturalHeight || 1;
    const room = [Math.max(clientWidth - 2 * MARGIN, 50), Math.max(clientHeight - 2 * MARGIN, 50)];
    const scale = Math.min(room[0] / width, room[1] / height) * this.zoom;
    const left = clientWidth / 2 - this.center[0] * width * scale;
    const top = clientHeight / 2 - this.center[1] * height * scale;
    return { width: width * scale, height: height * scale, scale, left, top };
  }

  /** Position on the image of an event, normalised and not limited to it. */
  locate(event) {
    const bounds = this.stage.getBoundingClientRect();
    const { width, height, left, top } = this.place();
    return [
      (event.clientX - bounds.left - left) / width,
      (event.clientY - bounds.top - top) / height,
    ];
  }

  /** Zoom by a factor; the point `anchor` of the image keeps its place on the screen. */
  zoomBy(factor, anchor = null) {
    if (anchor === null) {
      const [x0, x1, y0, y1] = this.box ?? [0, 1, 0, 1];
      anchor = this.box ? [(x0 + x1) / 2, (y0 + y1) / 2] : this.center;
    }
    const zoom = clamp(this.zoom * factor, 1, MAX_ZOOM);
    const share = this.zoom / zoom;
    this.center = this.center.map((c, i) => clamp(anchor[i] + (c - anchor[i]) * share));
    this.zoom = zoom;
    if (zoom === 1) {
      this.center = [0.5, 0.5];
    }
    this.draw();
  }

  turnWheel(event) {
    event.preventDefault();
    this.zoomBy(Math.exp(-clamp(event.deltaY, -100, 100) / 300), this.locate(event));
  }

  // Pointers: mouse, pen and fingers.

  press(event) {
    if (event.pointerType === "mouse" && event.button > 1) {
      return;
    }
    this.stage.setPointerCapture(event.pointerId);
    this.pointers.set(event.pointerId, event);
    if (this.pointers.size > 1) {
      if (this.action?.before !== undefined) {
        this.box = this.action.before;
      }
      this.action = { kind: "pinch", ...this.measurePinch() };
      this.draw();
      return;
    }
    const start = this.locate(event);
    if (event.button === 1) {
      event.preventDefault();
      this.action = { kind: "pan", start };
      return;
    }
    const handle = event.target.dataset?.handle;
    const before = this.box;
    this.action = handle
      ? { kind: "drag", handle, start, before, isNew: true }
      : { kind: "draw", start: start.map((value) => clamp(value)), before, isNew: true };
  }

  move(event) {
    if (!this.pointers.has(event.pointerId) || !this.action) {
      return;
    }
    this.pointers.set(event.pointerId, event);
    const point = this.locate(event);
    const { kind, start, before } = this.action;
    if (kind === "pinch") {
      this.pinch();
    } else if (kind === "pan") {
      this.center = this.center.map((c, i) => clamp(c + start[i] - point[i]));
      this.draw();
    } else if (kind === "drag") {
      this.begin();
      const shift = [point[0] - start[0], point[1] - start[1]];
      this.setBox(moveEdges(before, HANDLES[this.action.handle], shift));
    } else {
      const end = point.map((value) => clamp(value));
      const box = sort([start[0], end[0], start[1], end[1]]);
      if (this.isLargeEnough(box) || !this.action.isNew) {
        this.begin();
        this.setBox(box);
      }
    }
  }

  release(event) {
    this.pointers.delete(event.pointerId);
    if (this.pointers.size === 0 || this.action?.kind === "pinch") {
      if (this.action && !this.action.isNew && this.box && !this.isLargeEnough(this.box)) {
        this.setBox(this.action.before);
      }
      this.action = null;
    }
  }

  /** Note the first change of a drag, so that it can be undone as a whole. */
  begin() {
    if (this.action.isNew) {
      this.onEdit();
      this.action.isNew = false;
    }
  }

  measurePinch() {
    const [one, two] = [...this.pointers.values()];
    const middle = { clientX: (one.clientX + two.clientX) / 2, clientY: (one.clientY + two.clientY) / 2 };
    const distance = Math.hypot(one.clientX - two.clientX, one.clientY - two.clientY);
    return { point: this.locate(middle), distance, middle };
  }

  pinch() {
    const now = this.measurePinch();
    this.zoomBy(now.distance / Math.max(this.action.distance, 1), now.point);
    const moved = this.locate(now.middle);
    this.center = this.center.map((c, i) => clamp(c + this.action.point[i] - moved[i]));
    this.action.distance = now.distance;
    this.draw();
  }

  isLargeEnough(box) {
    const { width, height } = this.place();
    return (box[1] - box[0]) * width >= MIN_SIDE && (box[3] - box[2]) * height >= MIN_SIDE;
  }

  // Keys.

  /** Move the chosen part by pixels of the screen. */
  nudge(x, y) {
    const { width, height } = this.place();
    const edges = HANDLES[PARTS[this.part].handle];
    const box = moveEdges(this.box, edges, [x / width, y / height]);
    if (this.isLargeEnough(box)) {
      this.onEdit();
      this.setBox(box);
    }
  }

  selectNextPart() {
    this.part = (this.part + 1) % PARTS.length;
    this.draw();
    return PARTS[this.part].name;
  }

  setBox(box) {
    this.box = box;
    this.isProposed = false;
    this.draw();
    this.onChange();
  }

  draw() {
    const { scale, width, height, left, top } = this.place();
    this.picture.style.transform = `translate(${left}px, ${top}px) scale(${scale})`;
    const toScreen = ([x0, x1, y0, y1]) => [
      left + x0 * width, left + x1 * width, top + y0 * height, top + y1 * height,
    ];
    const drawRect = (name, box) => {
      const rect = this.overlay.querySelector(`#${name}`);
      rect.toggleAttribute("hidden", !box);
      if (box) {
        const [x0, x1, y0, y1] = toScreen(box);
        const values = { x: x0, y: y0, width: Math.max(x1 - x0, 0), height: Math.max(y1 - y0, 0) };
        Object.entries(values).forEach(([key, value]) => rect.setAttribute(key, value));
      }
    };
    drawRect("other", this.other);
    drawRect("halo", this.box);
    drawRect("rect", this.box);
    this.overlay.classList.toggle("proposed", this.isProposed);
    this.overlay.querySelector("g").toggleAttribute("hidden", !this.box);
    this.tag.hidden = !this.box || !this.tagText;
    if (!this.box) {
      return;
    }
    const [x0, x1, y0, y1] = toScreen(this.box);
    const places = {
      nw: [x0, y0], n: [(x0 + x1) / 2, y0], ne: [x1, y0], e: [x1, (y0 + y1) / 2],
      se: [x1, y1], s: [(x0 + x1) / 2, y1], sw: [x0, y1], w: [x0, (y0 + y1) / 2],
      c: [(x0 + x1) / 2, (y0 + y1) / 2],
    };
    for (const [name, { circle, grip }] of Object.entries(this.handles)) {
      for (const node of [circle, grip]) {
        node.setAttribute("cx", places[name][0]);
        node.setAttribute("cy", places[name][1]);
      }
      circle.classList.toggle("active", name === PARTS[this.part].handle && this.part > 0);
    }
    this.tag.textContent = this.tagText;
    const above = y0 >= 30 ? y0 - 28 : Math.max(y0, 0) + 6;
    this.tag.style.transform = `translate(${Math.max(x0, 4)}px, ${above}px)`;
  }
}

function sort([x0, x1, y0, y1]) {
  return [Math.min(x0, x1), Math.max(x0, x1), Math.min(y0, y1), Math.max(y0, y1)];
}

/** Move some edges of a box; the whole box stops at the borders of the image. */
function moveEdges(box, edges, [dx, dy]) {
  if (edges.length === 4) {
    const x = clamp(dx, -box[0], 1 - box[1]);
    const y = clamp(dy, -box[2], 1 - box[3]);
    return [box[0] + x, box[1] + x, box[2] + y, box[3] + y];
  }
  const moved = [...box];
  edges.forEach((edge) => (moved[edge] = clamp(box[edge] + (edge < 2 ? dx : dy))));
  return sort(moved);
}
