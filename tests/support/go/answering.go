// Package answering is what the tests' programs in Go have in common: they are asked on standard input, and answer on standard output.
package answering

import (
	"bufio"
	"encoding/json"
	"os"
)

type failure struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

type answer struct {
	Value any      `json:"value"`
	Error *failure `json:"error,omitempty"`
}

// All takes one question per line, as JSON, and answers each with a line: a value, or why there is none.
func All[Question any](ask func(Question) (any, error)) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	answers := json.NewEncoder(os.Stdout)
	for lines.Scan() {
		var asked Question
		var said answer
		err := json.Unmarshal(lines.Bytes(), &asked)
		if err == nil {
			said.Value, err = ask(asked)
		}
		if err != nil {
			said.Error = &failure{Message: err.Error()}
		}
		if err := answers.Encode(said); err != nil {
			os.Exit(1)
		}
	}
}
