// Package browser opens pages in headless Chromium, for tests that use a page as
// a person does. The context that Open returns is for chromedp's actions.
package browser
