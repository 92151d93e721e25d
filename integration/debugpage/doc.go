// Package debugpage holds the tests that look at the debug page of httpx/debug as
// a person does, in a browser: nothing from outside runs there, the form works,
// and it can be read on a telephone, in the dark and without a mouse. With
// SCREENSHOTS=DIR the tests leave pictures there.
package debugpage
