// The client: runs every case and prints a line for each.
package main

import "fmt"

func runCases(gateway, server, symbol string) {
	for _, one := range cases {
		fmt.Println(outcome(one, newProbe(gateway, server, symbol)))
	}
}

func outcome(one testCase, p *probe) (line string) {
	defer p.close()
	defer func() {
		switch why := recover().(type) {
		case nil:
			line = "passed " + one.name
		case leftOut:
			line = fmt.Sprintf("left out %s: %s", one.name, string(why))
		case failure:
			line = fmt.Sprintf("failed %s: %s", one.name, string(why))
		default:
			panic(why)
		}
	}()
	one.run(p)
	return
}
