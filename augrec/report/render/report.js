// Sorts the rows of a table by a column, and filters those of a long one. Without it the page reads the same, in the
// order of the config.
const LONG = 8;
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const original = [...body.rows];
  if (original.length >= LONG) {
    const [label, input, scroll] = [document.createElement("label"), document.createElement("input"), table.parentElement];
    label.className = "filter";
    input.type = "search";
    label.append("Only rows with", input);
    input.addEventListener("input", () => {
      const wanted = input.value.trim().toLowerCase();
      for (const row of original) row.hidden = !row.textContent.toLowerCase().includes(wanted);
    });
    scroll.before(label);
  }
  table.querySelectorAll("thead th").forEach((header, column) => {
    if ("drawn" in header.dataset) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...header.childNodes);
    header.append(button);
    button.addEventListener("click", () => {
      const descending = header.getAttribute("aria-sort") !== "descending";
      for (const other of table.querySelectorAll("thead th")) other.removeAttribute("aria-sort");
      header.setAttribute("aria-sort", descending ? "descending" : "ascending");
      const direction = descending ? -1 : 1;
      const rows = [...original].sort((a, b) => {
        const [x, y] = [a.cells[column].dataset.value, b.cells[column].dataset.value];
        if (column === 0) return -direction * a.cells[0].textContent.localeCompare(b.cells[0].textContent);
        if (x === "" || y === "") return (x === "") - (y === ""); // missing values stay last
        return direction * (Number(x) - Number(y));
      });
      body.append(...rows);
    });
  });
}

// A rule beside the names of rows, while other columns lie below them.
for (const scroll of document.querySelectorAll(".scroll")) {
  scroll.addEventListener("scroll", () => scroll.classList.toggle("scrolled", scroll.scrollLeft > 0), { passive: true });
}

// Copies a line of provenance. Without it one click still selects the whole value.
for (const code of navigator.clipboard ? document.querySelectorAll(".copied code") : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  button.setAttribute("aria-label", `copy ${code.closest("div").querySelector("dt").textContent}`);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(code.textContent);
    button.textContent = "copied";
  });
  code.after(button);
}
