/* Tables that are wider than their column are shown row by row, with the head of its column before
   each value. */
"use strict";

function labelCells(table) {
  const heads = [...table.querySelectorAll("thead tr:last-child > *")].map((cell) =>
    cell.textContent.trim(),
  );
  for (const row of table.querySelectorAll("tbody tr")) {
    [...row.children].forEach((cell, column) => {
      if (heads[column]) cell.dataset.label = heads[column];
    });
  }
}

function stackWideTables() {
  for (const table of document.querySelectorAll(".bd-article table")) {
    table.classList.remove("skbbox-stacked");
    const box = table.closest(".pst-scrollable-table-container, .cell_output") || table.parentElement;
    const isShown = table.getClientRects().length > 0;
    table.classList.toggle("skbbox-stacked", isShown && table.offsetWidth > box.clientWidth + 1);
  }
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".bd-article table").forEach(labelCells);
  stackWideTables();
  window.addEventListener("resize", stackWideTables);
  /* A folded table has no width until it is opened. */
  document.addEventListener("toggle", stackWideTables, true);
});
