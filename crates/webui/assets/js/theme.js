// Not a module, so that the page is painted in the right theme at once.
{
  let theme = null;
  try {
    theme = JSON.parse(localStorage.getItem("llamafile.settings"))?.theme;
  } catch {
    // The system's theme.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
}
