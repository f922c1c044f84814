"use strict";
const hovers = JSON.parse(document.getElementById("hovers").textContent);
// A plot is drawn when it comes near the window: a page with many of them opens at once.
function draw(place) {
  if (place.dataset.drawn) return;
  place.dataset.drawn = "yes";
  const told = JSON.parse(document.querySelector('script[data-for="' + place.id + '"]').textContent);
  // What is said of a trial stands in the page once; traces name the trials of their points.
  told.data.filter((trace) => trace.text && trace.text.trials).forEach((trace) => {
    trace.text = trace.text.trials.map((number) => hovers[number]);
  });
  Plotly.newPlot(place, told.data, told.layout, told.config);
}
const places = document.querySelectorAll(".plot");
if ("IntersectionObserver" in window) {
  const watcher = new IntersectionObserver(
    (seen) => seen.filter((one) => one.isIntersecting).forEach((one) => { watcher.unobserve(one.target); draw(one.target); }),
    { rootMargin: "600px" },
  );
  places.forEach((place) => watcher.observe(place));
} else {
  places.forEach(draw);
}
window.addEventListener("beforeprint", () => places.forEach(draw));

// The head of a column sorts the table by it: numbers as numbers, what is unknown last.
document.querySelectorAll("table.trials").forEach((table) => {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const down = head.getAttribute("aria-sort") === "ascending";
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = (row) => {
      const cell = row.cells[column];
      const text = "key" in cell.dataset ? cell.dataset.key : cell.textContent;
      return { text, number: text === "" ? NaN : Number(text) };
    };
    const rows = [...table.tBodies[0].rows].map((row) => ({ row, ...key(row) }));
    rows.sort((one, other) => {
      if ((one.text === "") !== (other.text === "")) return one.text === "" ? 1 : -1;
      const numbers = !Number.isNaN(one.number) && !Number.isNaN(other.number);
      const order = numbers ? one.number - other.number : one.text.localeCompare(other.text);
      return down ? -order : order;
    });
    rows.forEach(({ row }) => table.tBodies[0].appendChild(row));
  }));
});
