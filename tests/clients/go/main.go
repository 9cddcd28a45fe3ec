// Driver puts 1Password's Go client behind standard input and output: a call per line in, its outcome per line out.
package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"

	"github.com/1Password/connect-sdk-go/connect"
	"github.com/1Password/connect-sdk-go/onepassword"
)

// call names a method of connect.Client and its arguments; Env is set while the client is made and used.
type call struct {
	Method    string            `json:"method"`
	Args      []json.RawMessage `json:"args"`
	URL       string            `json:"url"`
	Token     string            `json:"token"`
	UserAgent string            `json:"user_agent"`
	Env       map[string]string `json:"env"`
}

type failure struct {
	Status  int    `json:"status"`
	Message string `json:"message"`
}

type outcome struct {
	Value any      `json:"value"`
	Error *failure `json:"error,omitempty"`
}

// digest stands for the bytes of a file.
type digest struct {
	Size   int    `json:"size"`
	SHA256 string `json:"sha256"`
}

// member describes one field of a struct that LoadStruct and its siblings fill.
type member struct {
	Name string `json:"name"`
	Type string `json:"type"`
	Tag  string `json:"tag"`
}

var memberTypes = map[string]reflect.Type{
	"string":  reflect.TypeFor[string](),
	"int":     reflect.TypeFor[int](),
	"item":    reflect.TypeFor[onepassword.Item](),
	"section": reflect.TypeFor[onepassword.ItemSection](),
	"url":     reflect.TypeFor[onepassword.ItemURL](),
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var wanted call
		if err := json.Unmarshal(line, &wanted); err != nil {
			panic(err)
		}
		value, err := run(wanted)
		if err := answers.Encode(outcome{Value: value, Error: failed(err)}); err != nil {
			panic(err)
		}
	}
}

func run(wanted call) (any, error) {
	if wanted.Method == "methods" {
		return methods(), nil
	}
	for name, value := range wanted.Env {
		if err := os.Setenv(name, value); err != nil {
			return nil, err
		}
		defer os.Unsetenv(name)
	}
	client, err := client(wanted)
	if err != nil {
		return nil, err
	}
	method := reflect.ValueOf(client).MethodByName(wanted.Method)
	if !method.IsValid() || len(wanted.Args) != method.Type().NumIn() {
		return nil, fmt.Errorf("the driver knows no %s with %d arguments", wanted.Method, len(wanted.Args))
	}
	args := make([]reflect.Value, len(wanted.Args))
	var loaded any
	for place, raw := range wanted.Args {
		kind := method.Type().In(place)
		if kind.Kind() == reflect.Interface {
			if kind, err = structure(raw); err != nil {
				return nil, err
			}
			args[place] = reflect.New(kind)
			loaded = args[place].Interface()
			continue
		}
		argument := reflect.New(kind)
		if err := json.Unmarshal(raw, argument.Interface()); err != nil {
			return nil, err
		}
		args[place] = argument.Elem()
	}
	results := method.Call(args)
	err, _ = results[len(results)-1].Interface().(error)
	if err != nil || len(results) == 1 {
		return loaded, err
	}
	return shown(results[0].Interface()), nil
}

func client(wanted call) (connect.Client, error) {
	switch {
	case wanted.URL == "":
		return connect.NewClientFromEnvironment()
	case wanted.UserAgent != "":
		return connect.NewClientWithUserAgent(wanted.URL, wanted.Token, wanted.UserAgent), nil
	default:
		return connect.NewClient(wanted.URL, wanted.Token), nil
	}
}

func methods() []string {
	kind := reflect.TypeFor[connect.Client]()
	names := make([]string, kind.NumMethod())
	for place := range names {
		names[place] = kind.Method(place).Name
	}
	return names
}

func structure(raw json.RawMessage) (reflect.Type, error) {
	var members []member
	if err := json.Unmarshal(raw, &members); err != nil {
		return nil, err
	}
	fields := make([]reflect.StructField, len(members))
	for place, wanted := range members {
		fields[place] = reflect.StructField{
			Name: wanted.Name, Type: memberTypes[wanted.Type], Tag: reflect.StructTag(wanted.Tag),
		}
	}
	return reflect.StructOf(fields), nil
}

func shown(value any) any {
	if content, ok := value.([]byte); ok {
		sum := sha256.Sum256(content)
		return digest{Size: len(content), SHA256: hex.EncodeToString(sum[:])}
	}
	return value
}

func failed(err error) *failure {
	var answered *onepassword.Error
	if errors.As(err, &answered) {
		return &failure{Status: answered.StatusCode, Message: answered.Message}
	}
	if err != nil {
		return &failure{Message: err.Error()}
	}
	return nil
}
