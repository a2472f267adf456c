// One image after the other: keys, buttons, and what the server is asked.

import { View } from "./view.js";

const $ = (id) => document.getElementById(id);
const STEP = 2;
const LARGE_STEP = 20;
const ZOOM_STEP = 1.25;
const CONFLICT = "Another window has changed this label. Here it is; nothing was overwritten.";
/** Identifies this window to the server; a page that is loaded again is a new one. */
const WINDOW = crypto.randomUUID();

/** The image that is shown, as the server describes it; null before the first and after the last. */
let task = null;
/** Class of the box, or null. */
let className = null;
/** What the server sends whenever something changes. */
let state = null;
/** Earlier boxes and classes of this image. */
let drafts = [];
let isBusy = false;
let isFinished = false;
/** Pictures by the number of their image, of the shown one and the next. */
const pictures = new Map();

const view = new View($("stage"), remember, () => {
  describeBox();
  updateButtons();
});

// Messages

function say(text) {
  $("live").textContent = text;
}

function showProblem(text) {
  $("problem").hidden = !text;
  $("problem").textContent = text;
}

const percent = (value) => `${Math.round(100 * value)} %`;

function plural(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}

// Requests

async function post(name, values = {}) {
  let response;
  try {
    response = await fetch(name, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ window: WINDOW, ...values }),
    });
  } catch {
    throw new Error("The server does not answer. What you saved is in the file; run skbbox label again to continue.");
  }
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (!response.ok) {
    throw new Error(answer.error);
  }
  return answer;
}

/** Ask for something and show the image of the answer; on an error, all stays as it is. */
async function request(name, values) {
  if (isBusy || isFinished) {
    return;
  }
  isBusy = true;
  try {
    const answer = await post(name, values);
    showProblem(answer.conflict ? CONFLICT : (answer.notice ?? ""));
    await showTask(answer);
    if (answer.nothing_to_undo) {
      say("Nothing to undo.");
    }
  } catch (error) {
    showProblem(error.message);
  } finally {
    isBusy = false;
    updateButtons();
  }
}

function loadPicture(number) {
  if (!pictures.has(number)) {
    const image = new Image();
    image.src = `picture/${number}`;
    pictures.set(number, { image, ready: image.decode().catch(() => null) });
  }
  return pictures.get(number);
}

// The image

async function showTask(next) {
  if (next.image !== null) {
    const { image, ready } = loadPicture(next.image);
    await ready;
    if (!image.naturalWidth) {
      pictures.delete(next.image);
      throw new Error(`The picture of ${next.name} could not be loaded.`);
    }
    task = next;
    drafts = [];
    const { box, other, isProposed } = chooseBox();
    view.show(image, box, { other, isProposed });
    for (const number of pictures.keys()) {
      if (number !== next.image && !next.upcoming.includes(number)) {
        pictures.delete(number);
      }
    }
    next.upcoming.forEach(loadPicture);
  } else {
    task = null;
    className = null;
    view.show(new Image(), null);
  }
  describeTask();
  describeBox();
  updateButtons();
  $("stage").dataset.image = next.image ?? "none";
}

/** The box to begin with: a draft that was taken back, the label, or the proposal. */
function chooseBox() {
  const { draft, label, proposal } = task;
  const own = draft ?? label;
  const names = state?.classes ?? [];
  if (own) {
    className = own.class_name;
    return { box: own.box, other: task.issue ? proposal?.box : null, isProposed: false };
  }
  className = proposal?.class_name ?? (names.length === 1 ? names[0].name : null);
  return { box: proposal?.box ?? null, other: null, isProposed: Boolean(proposal?.box) };
}

function remember() {
  drafts.push({ box: view.box, className, isProposed: view.isProposed });
}

function describeTask() {
  const isEmpty = task === null;
  const proposal = task?.proposal;
  $("proposal").textContent = proposal ? describeProposal(proposal) : "None for this image.";
  $("empty").hidden = !isEmpty;
  if (isEmpty) {
    $("name").textContent = "No image";
    $("kind").textContent = "";
    describeEnd();
    return;
  }
  $("name").textContent = task.name;
  $("name").title = task.name;
  $("kind").textContent = describeKind();
  const what = proposal ? `Proposal: ${describeProposal(proposal)}.` : "No proposal.";
  say(`${task.name}. ${task.issue ? describeIssue() : what}`);
}

function describeKind() {
  if (task.issue) {
    return describeIssue();
  }
  if (state?.review || !task.proposal) {
    return "";
  }
  return task.is_random ? "drawn at random" : "chosen to improve the model";
}

function describeIssue() {
  const { issue, iou } = task.issue;
  const overlap = iou === null ? "" : `, IoU with the model’s box ${iou.toFixed(2)}`;
  return `suspicion ${issue === null ? "unknown" : percent(issue)}${overlap}`;
}

function describeProposal(proposal) {
  if (!proposal.box) {
    return "no object";
  }
  const { class_confidence: ofClass, box_confidence: ofBox } = proposal;
  const parts = [
    ofClass === null ? "" : `class ${percent(ofClass)}`,
    ofBox === null ? "" : `box ${percent(ofBox)}`,
  ].filter(Boolean);
  return parts.length ? `${proposal.class_name} (confidence: ${parts.join(", ")})` : proposal.class_name;
}

function describeEnd() {
  const isRanking = state?.review && state.model.status === "ranking";
  const hasFailed = state?.review && state.model.status === "failed";
  let title = "All images have a label.";
  if (isRanking) {
    title = "Looking for suspicious labels …";
  } else if (hasFailed) {
    title = "The labels could not be ranked.";
  } else if (state?.review) {
    title = "All labels are reviewed.";
  }
  $("empty-title").textContent = title;
  $("empty-text").textContent = isRanking
    ? "Models of other folds predict each image. The most suspicious label comes first."
    : `The labels are in ${state?.output ?? "the file"}.`;
}

function describeBox() {
  view.tagText = view.box ? (className ?? "Class?") : "";
  view.draw();
  for (const button of $("classes").children) {
    button.setAttribute("aria-pressed", String(button.dataset.name === className));
  }
}

/** What to do next. */
function describeHint() {
  if (task === null) {
    return "";
  }
  if (!view.box) {
    return isEmptyAccepted() ? "Save: there is no object." : "Draw a box around the object.";
  }
  if (!className) {
    return state?.classes.length ? "Choose the class." : "Type the name of the class.";
  }
  if (view.isProposed && !task.label) {
    return "Accept the proposal, or correct it.";
  }
  return task.issue && !drafts.length ? "Keep the label, or correct it." : "Save the label.";
}

/** Show that this must be done first. */
function urge() {
  $("hint").classList.add("urgent");
  say($("hint").textContent);
}

function updateButtons() {
  $("hint").textContent = describeHint();
  $("hint").classList.remove("urgent");
  const hasTask = task !== null;
  const isReview = Boolean(state?.review);
  $("save").disabled = !hasTask;
  $("save-text").textContent = describeSave();
  $("none").disabled = $("skip").disabled = $("drop").disabled = !hasTask;
  $("undo").disabled = !drafts.length && !task?.can_undo && hasTask;
  $("drop").hidden = !isReview;
  $("skip").hidden = isReview;
  $("adopt").hidden = !isReview || !task?.proposal;
}

function describeSave() {
  if (task?.proposal && !task.label && view.isProposed) {
    return "Accept";
  }
  if (task?.proposal && !task.proposal.box && !view.box && !task.label) {
    return "Accept: no object";
  }
  return task?.issue && !drafts.length ? "Keep" : "Save";
}

// What the user does

function save() {
  if (!task) {
    return;
  }
  if (!view.box && isEmptyAccepted()) {
    store({ class_name: null, box: null });
  } else if (!view.box) {
    urge();
  } else if (!className) {
    $("class-input").focus();
    urge();
  } else {
    store({ class_name: className, box: view.box });
  }
}

/** Whether the label or the proposal says that there is no object, and the user has not changed it. */
const isEmptyAccepted = () =>
  !drafts.length && [task.label, task.proposal].some((label) => label && label.box === null);

function store(label) {
  return request("save", { image: task.image, version: task.version, label });
}

function undo() {
  if (drafts.length) {
    const draft = drafts.pop();
    className = draft.className;
    view.box = draft.box;
    view.isProposed = draft.isProposed;
    describeBox();
    updateButtons();
    say("Change undone.");
    return;
  }
  request("undo");
}

function setClass(name) {
  if (name === className || !task) {
    return;
  }
  remember();
  className = name;
  describeBox();
  updateButtons();
  say(`Class ${name}.`);
}

function addBox() {
  if (task && !view.box) {
    remember();
    view.setBox([0.25, 0.75, 0.25, 0.75]);
    say("Box in the middle. Press E to choose an edge, and move it with the arrow keys.");
  }
}

function removeBox() {
  if (view.box) {
    remember();
    view.setBox(null);
    say("Box removed.");
  }
}

function adopt() {
  if (task?.proposal) {
    remember();
    className = task.proposal.class_name ?? className;
    view.setBox(task.proposal.box);
    view.isProposed = Boolean(task.proposal.box);
    describeBox();
    updateButtons();
    say(`The model’s: ${describeProposal(task.proposal)}.`);
  }
}

async function finish() {
  try {
    await post("finish");
    end();
  } catch (error) {
    showProblem(error.message);
  }
}

function end() {
  isFinished = true;
  task = null;
  view.show(new Image(), null);
  $("empty").hidden = false;
  $("empty-title").textContent = "Labelling is finished. You can close this page.";
  $("empty-text").textContent = `The labels are in ${state?.output ?? "the file"}.`;
  updateButtons();
  $("undo").disabled = $("finish").disabled = true;
  say("Labelling is finished.");
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const KEYS = {
  enter: save,
  n: () => task && store({ class_name: null, box: null }),
  s: () => task && !state?.review && request("next", { skip: task.image }),
  u: undo,
  d: () => task && state?.review && store(null),
  m: () => state?.review && adopt(),
  b: addBox,
  c: () => $("class-input").focus(),
  e: () => view.box && say(view.selectNextPart()),
  delete: removeBox,
  backspace: removeBox,
  "+": () => view.zoomBy(ZOOM_STEP),
  "=": () => view.zoomBy(ZOOM_STEP),
  "-": () => view.zoomBy(1 / ZOOM_STEP),
  0: () => view.fit(),
};

document.addEventListener("keydown", (event) => {
  const isUndo = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z";
  if (event.target.matches("input")) {
    if (event.key === "Escape") {
      $("stage").focus();
    }
    return;
  }
  if (isUndo) {
    event.preventDefault();
    undo();
    return;
  }
  if (event.ctrlKey || event.metaKey || event.altKey || isFinished) {
    return;
  }
  // Enter and space press a button that has the focus.
  if (event.target.matches("button, summary") && ["Enter", " "].includes(event.key)) {
    return;
  }
  if (event.key in ARROWS) {
    if (view.box) {
      const size = event.shiftKey ? LARGE_STEP : STEP;
      view.nudge(...ARROWS[event.key].map((value) => value * size));
      event.preventDefault();
    }
  } else if (/^[1-9]$/.test(event.key)) {
    const chosen = state?.classes[event.key - 1];
    if (chosen) {
      setClass(chosen.name);
    }
  } else if (KEYS[event.key.toLowerCase()] && !(event.repeat && event.key === "Enter")) {
    event.preventDefault();
    KEYS[event.key.toLowerCase()]();
  }
});

const BUTTONS = {
  save,
  none: KEYS.n,
  skip: KEYS.s,
  undo,
  drop: KEYS.d,
  adopt,
  finish,
  "zoom-in": KEYS["+"],
  "zoom-out": KEYS["-"],
  "zoom-fit": KEYS[0],
};
for (const [id, act] of Object.entries(BUTTONS)) {
  listen($(id), act);
}

/** Call a function on clicks; those of a mouse leave the focus on the image, where Enter saves. */
function listen(button, act) {
  button.addEventListener("click", (event) => {
    act();
    if (event.detail > 0) {
      $("stage").focus({ preventScroll: true });
    }
  });
}

$("add").addEventListener("submit", (event) => {
  event.preventDefault();
  const name = $("class-input").value.trim();
  if (name) {
    if (!state.classes.some((known) => known.name === name)) {
      state.classes.push({ name, count: 0 });
      showClasses();
    }
    setClass(name);
    $("class-input").value = "";
    $("stage").focus();
  }
});

// What the server sends

/** The classes, those that were added here and have no label yet included. */
function keepNewClasses(next) {
  const known = new Set(next.classes.map(({ name }) => name));
  const added = (state?.classes ?? []).filter(({ name }) => !known.has(name));
  next.classes.push(...added.map(({ name }) => ({ name, count: 0 })));
}

function showClasses() {
  const buttons = state.classes.map(({ name, count }, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.name = name;
    button.setAttribute("aria-pressed", String(name === className));
    const text = document.createElement("span");
    text.className = "class-name";
    text.dir = "auto";
    text.textContent = button.title = name;
    const number = document.createElement("span");
    number.className = "count";
    number.textContent = count;
    number.setAttribute("aria-label", plural(count, "label"));
    if (index < 9) {
      const key = document.createElement("kbd");
      key.textContent = index + 1;
      button.append(key);
    }
    button.append(text, number);
    listen(button, () => setClass(name));
    return button;
  });
  $("class-label").textContent = buttons.length ? "Another class" : "Name of the first class";
  const focused = document.activeElement?.dataset?.name;
  $("classes").replaceChildren(...buttons);
  buttons.find((button) => button.dataset.name === focused)?.focus();
  $("class-names").replaceChildren(
    ...state.classes.map(({ name }) => Object.assign(document.createElement("option"), { value: name })),
  );
}

function describeModel({ status, share, n_labels: n, missing, reason }) {
  switch (status) {
    case "off":
      return "No model";
    case "training":
      return share ? `Model is training, ${percent(share)}` : "Model is reading the labelled images";
    case "ranking":
      return `Comparing labels with models, ${percent(share)}`;
    case "ranked":
      return "Most suspicious labels first";
    case "ready":
      return `Model has learned from ${plural(n, "label")}`;
    case "failed":
      return `Model failed: ${reason}`;
    default:
      return `Model starts after ${plural(missing, "more label")}`;
  }
}

function showState(next) {
  keepNewClasses(next);
  const changed = JSON.stringify(next.classes) !== JSON.stringify(state?.classes);
  state = next;
  if (changed) {
    showClasses();
  }
  const { n_labelled: done, n_images: all, n_unreadable: unreadable, model, score } = state;
  const [value, max] = state.review ? [state.review.n - state.review.n_open, state.review.n] : [done, all];
  $("progress").max = max;
  $("progress").value = state.model.status === "ranking" ? 0 : value;
  const lost = unreadable ? ` · ${unreadable} unreadable` : "";
  $("counts").textContent = state.review
    ? `${plural(state.review.n_open, "label")} to review of ${state.review.n}${lost}`
    : `${done} of ${all} labelled${lost}`;
  $("model").className = `model ${model.status}`;
  $("model-text").textContent = describeModel(model);
  showScore(score);
  if (state.problem) {
    showProblem(state.problem);
  }
  if (task === null && !isFinished) {
    describeEnd();
    if (!isBusy && $("stage").dataset.image === "none" && hasMore()) {
      request("next");
    }
  }
  updateButtons();
}

/** Whether there may be something to show after all: a ranking, or a label that was removed. */
function hasMore() {
  return state.review ? state.review.n_open > 0 : state.n_labelled + state.n_unreadable < state.n_images;
}

function showScore(score) {
  const hasScore = score.n > 0 && !state.review;
  $("score").hidden = $("score-note").hidden = !hasScore;
  $("remaining").hidden = !hasScore || state.remaining === null;
  if (hasScore) {
    $("mean-iou").textContent = score.mean_iou === null ? "–" : score.mean_iou.toFixed(2);
    $("class-accuracy").textContent = percent(score.class_accuracy);
    $("usable").textContent = percent(score.usable);
    $("score-note").textContent = `On the last ${plural(score.n, "image")} drawn at random. Usable: right class and IoU of at least 0.75. A box that you accept counts as 1.`;
    $("remaining").textContent = state.remaining
      ? `About ${state.remaining} more labels until the curve of the IoU flattens.`
      : "More labels would hardly raise the IoU.";
  }
}

const events = new EventSource(`events/${WINDOW}`);
events.addEventListener("message", (event) => {
  showState(JSON.parse(event.data));
  start();
});
events.addEventListener("finished", () => {
  events.close();
  end();
});
events.addEventListener("error", () => {
  if (!isFinished) {
    $("model-text").textContent = "The server does not answer";
  }
});

let isStarted = false;
function start() {
  if (!isStarted) {
    isStarted = true;
    if (matchMedia("(max-width: 760px)").matches) {
      $("keys").open = false;
    }
    request("next").then(() => $("stage").focus({ preventScroll: true }));
  }
}
