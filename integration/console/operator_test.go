package console

import (
	"strconv"

	"github.com/chromedp/chromedp"

	"github.com/graylane/graylane/config"
)

// click is when an operator clicked, and when the page said that it is done.
type click struct{ sent, answered int64 }

// done waits until the page says so.
func (p *page) done(sent int64, said spot) click {
	p.t.Helper()
	p.sees(said)
	return click{sent: sent, answered: p.now()}
}

// opens shows the console.
func (p *page) opens(addr string) {
	p.t.Helper()
	p.do("open the console", chromedp.Navigate("http://"+addr+"/"))
	p.sees(headline("Configuration Management"))
}

// goes follows the menu, from a page that has it or a way back.
func (p *page) goes(group, item string) {
	p.t.Helper()
	p.until("the menu, or the way back", func() bool { return p.shows(menu(group)) || p.shows(button("Back")) })
	if !p.shows(menu(group)) {
		p.click(button("Back"))
	}
	p.sees(menu(group))
	if closed := (spot{CSS: ".next-menu-item:not(.next-opened)", Text: group}); p.shows(closed) {
		p.click(closed)
	}
	there := spot{CSS: ".next-menu-item.next-selected", Text: item}
	p.until("the page "+item, func() bool { // a menu that is just opening loses clicks
		if !p.shows(there) {
			p.click(menu(item))
		}
		return p.shows(there)
	})
}

// creates publishes the first document of a service.
func (p *page) creates(dataID, text string) click {
	p.t.Helper()
	p.goes("ConfigManagement", "Configurations")
	p.shot("list", button("Create Configuration"))
	p.click(button("Create Configuration"))
	p.enter(spot{CSS: "#dataId"}, dataID)
	p.enter(spot{CSS: "#group"}, config.DefaultGroup)
	p.click(spot{CSS: "label", Text: "YAML"})
	p.rewrite(text)
	p.shot("create", spot{CSS: "label", Text: "YAML"}, spot{CSS: "#dataId"}, spot{CSS: "#group"})
	return p.done(p.click(button("Publish")), link("Edit").of(dataID))
}

// opensEditor shows a document in the editor.
func (p *page) opensEditor(dataID, text string) {
	p.t.Helper()
	p.until("the document", func() bool {
		p.goes("ConfigManagement", "Configurations")
		p.shot("edit", link("Edit").of(dataID))
		p.click(link("Edit").of(dataID))
		return p.wait(stuck, func() bool { return p.edits(text) })
	})
}

// changes publishes another document; the click that counts is the second.
func (p *page) changes(dataID, before, after string) click {
	p.t.Helper()
	p.opensEditor(dataID, before)
	p.rewrite(after)
	p.shot("publish", button("Publish"))
	p.click(button("Publish"))
	p.sees(dialog("Content Comparison"))
	p.shot("compare", confirm("Publish"))
	c := p.done(p.click(confirm("Publish")), dialog("Edit Configuration"))
	p.click(confirm("OK"))
	return c
}

// rollsBack undoes the last publish of a document, which brings back the text.
func (p *page) rollsBack(dataID, text string) click {
	p.t.Helper()
	p.goes("ConfigManagement", "Configurations")
	p.click(spot{CSS: "a[title=More]"}.of(dataID))
	p.click(spot{CSS: ".next-overlay-inner .next-menu-item", Text: "Historical Versions"})
	top := spot{CSS: "tbody tr:first-child a", Text: "Roll Back"}
	p.shot("history", top)
	p.click(top)
	p.until("the document before", func() bool {
		return eval[string](p, `(_ => document.querySelector("textarea#content")?.value ?? "")`, nil) == text
	})
	p.shot("rollback", button("Roll Back"))
	p.click(button("Roll Back"))
	c := p.done(p.click(confirm("OK")), dialog("Rollback Successful"))
	p.click(confirm("OK"))
	return c
}

// triesOn publishes a document for one consumer only.
func (p *page) triesOn(ip, dataID, before, after string) click {
	p.t.Helper()
	p.opensEditor(dataID, before)
	p.click(spot{CSS: "label", Text: "Not checked by default."})
	p.click(spot{CSS: ".next-select-tag"})
	p.do("type "+ip, chromedp.KeyEvent(ip+"\r"))
	p.sees(spot{CSS: ".next-tag", Text: ip})
	p.rewrite(after)
	p.shot("beta", button("Beta Publish"), spot{CSS: ".next-select-tag"})
	p.click(button("Beta Publish"))
	p.sees(dialog("Content Comparison"))
	c := p.done(p.click(confirm("Publish")), dialog("Beta Publish"))
	p.click(confirm("OK"))
	return c
}

// stopsTrying ends what triesOn began.
func (p *page) stopsTrying() click {
	p.t.Helper()
	c := p.done(p.click(button("Stop Beta")), dialog("Stop Beta"))
	p.click(confirm("OK"))
	return c
}

// instances shows the instances of a service as they are now, once one is among
// them: a page that is open shows them as they were.
func (p *page) instances(service string, one spot) {
	p.t.Helper()
	p.until("the instances", func() bool {
		p.goes("ServiceManagement", "Service List")
		p.click(link("Details").of(service))
		return p.wait(stuck, func() bool { return p.shows(one) })
	})
}

// weighs gives an instance another weight.
func (p *page) weighs(service, port string, weight float64) click {
	p.t.Helper()
	p.instances(service, button("Edit").of(port))
	p.shot("instances", button("Edit").of(port))
	p.click(button("Edit").of(port))
	p.sees(dialog("Update Instance"))
	field := spot{CSS: ".next-dialog .next-input input"}
	p.enter(field, strconv.FormatFloat(weight, 'g', -1, 64))
	p.shot("weight", confirm("OK"), field)
	sent := p.click(confirm("OK"))
	p.until("the end of the dialog", func() bool { return !p.shows(dialog("Update Instance")) })
	return click{sent: sent, answered: p.now()}
}

// switches clicks an instance's Offline or Online, which becomes the other. It sends
// the weight that the page shows: one that was opened too early is opened again.
func (p *page) switches(service, port, weight, from, to string) click {
	p.t.Helper()
	p.until("the weight "+weight, func() bool {
		p.instances(service, button(from).of(port))
		return p.shows(spot{CSS: "td", Text: weight}.of(port))
	})
	if from == "Offline" {
		p.shot("offline", button(from).of(port))
	}
	return p.done(p.click(button(from).of(port)), button(to).of(port))
}
