// Browsers do not let a page opened from a file fetch other pages, from which the summaries of
// search results are taken. The results themselves need no server.
if (location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}
