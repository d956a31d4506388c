// What the theme needs a script for, and has none: to mark in a page's
// contents the section that is being read, to let the keyboard reach what
// scrolls sideways, and to let the buttons say how things stand.
addEventListener("DOMContentLoaded", () => {
  const links = [...document.querySelectorAll(".bd-toc-nav a")];
  const top = link => document.getElementById(
    decodeURIComponent(link.hash.slice(1))).getBoundingClientRect().top;
  const mark = () => {
    const read = links.findLast(link => top(link) < 0.4 * innerHeight);
    for (const link of links) {
      const around = link.parentElement.contains(read ?? null);
      link.classList.toggle("active", around);
      link.parentElement.classList.toggle("active", around);
    }
  };
  addEventListener("scroll", mark, {passive: true});
  mark();

  const boxes = document.querySelectorAll(
    "pre, .katex-display, .pst-scrollable-table-container, figure");
  const reach = () => {
    for (const box of boxes)
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
  };
  addEventListener("resize", reach);
  document.addEventListener("toggle", reach, true);
  document.fonts.ready.then(reach);

  const wide = matchMedia("(min-width: 992px)");  // the left bar is there
  const say = () => {
    const {mode} = document.documentElement.dataset;
    for (const button of document.querySelectorAll(".theme-switch-button"))
      button.title = button.ariaLabel =
        `Colours: ${mode === "auto" ? "the system's" : mode}`;
    for (const side of ["primary", "secondary"])
      for (const button of document.querySelectorAll(`.${side}-toggle`))
        button.ariaExpanded = (side === "primary" && wide.matches) !==
          document.getElementById(`pst-${side}-sidebar-checkbox`).checked;
  };
  for (const event of ["click", "keydown", "resize"])  // after the theme
    addEventListener(event, () => setTimeout(say), true);
  say();
});
