package nacostest

import (
	"cmp"
	"net/http"
	"path"
	"slices"
	"strconv"

	"github.com/graylane/graylane/registry"
)

// formConfig reads which configuration a request is about.
func formConfig(r *http.Request) (configKey, error) {
	v, err := required(r, "dataId", "groupName")
	if err != nil {
		return configKey{}, err
	}
	if bad := illegalName("dataId", v[0], "group", v[1], "tenant", r.FormValue("namespaceId")); bad != "" {
		return configKey{}, plainError(bad)
	}
	return newConfigKey(r.FormValue("namespaceId"), v[1], v[0]), nil
}

func (s *Server) httpPublish(r *http.Request) (any, error) {
	key, err := formConfig(r)
	if err != nil {
		return nil, err
	}
	v, err := required(r, "content")
	if err != nil {
		return nil, err
	}
	if !s.configs.publish(key, v[0], configType(r.FormValue("type")), r.Header.Get("casMd5")) {
		return nil, &httpError{
			status: http.StatusInternalServerError, code: httpConflict, message: "resource conflict", data: casFailed,
		}
	}
	return true, nil
}

func (s *Server) httpRemove(r *http.Request) (any, error) {
	key, err := formConfig(r)
	if err != nil {
		return nil, err
	}
	s.configs.remove(key)
	return true, nil
}

// httpConfig answers as to an operator.
func (s *Server) httpConfig(r *http.Request) (any, error) {
	key, err := formConfig(r)
	if err != nil {
		return nil, err
	}
	doc, ok := s.configs.get(key)
	if !ok {
		return nil, &httpError{
			status: http.StatusNotFound, code: httpNotFound, message: "resource not found",
			data: "Config not exist, please publish Config first.",
		}
	}
	namespace := key.Namespace
	if namespace == "" {
		namespace = "public"
	}
	modified := doc.modified.UnixMilli()
	return map[string]any{
		"id": doc.id, "namespaceId": namespace, "groupName": key.Group, "dataId": key.Name, "md5": doc.md5,
		"type": doc.typ, "appName": "", "createTime": modified, "modifyTime": modified, "content": doc.content,
		"desc": nil, "encryptedDataKey": "", "createUser": nil, "createIp": "127.0.0.1", "configTags": nil,
	}, nil
}

// httpClientConfig answers as to a client.
func (s *Server) httpClientConfig(r *http.Request) (any, error) {
	key, err := formConfig(r)
	if err != nil {
		return nil, err
	}
	doc, ok := s.configs.get(key)
	if !ok {
		return nil, &httpError{status: http.StatusOK, code: httpNotFound, message: "resource not found"}
	}
	return map[string]any{
		"resultCode": codeSuccess, "errorCode": 0, "message": nil, "requestId": nil, "content": doc.content,
		"encryptedDataKey": "", "contentType": doc.typ, "md5": doc.md5, "lastModified": doc.modified.UnixMilli(),
		"tag": nil, "beta": false, "success": true,
	}, nil
}

// listedConfig is a configuration in a list.
type listedConfig struct {
	ID         string `json:"id"`
	Namespace  string `json:"namespaceId"`
	Group      string `json:"groupName"`
	DataID     string `json:"dataId"`
	MD5        string `json:"md5"`
	Type       string `json:"type"`
	AppName    string `json:"appName"`
	CreateTime int    `json:"createTime"` // in a list always 0, as the next
	ModifyTime int    `json:"modifyTime"`
}

// httpListConfigs lists a namespace's configurations by name. In the names asked
// for, "*" stands for anything, unless the request says search=accurate.
func (s *Server) httpListConfigs(r *http.Request) (any, error) {
	dataID, group := r.FormValue("dataId"), r.FormValue("groupName")
	if r.FormValue("search") == "accurate" {
		if bad := illegalName("dataId", dataID, "group", group); bad != "" {
			return nil, plainError(bad)
		}
	}
	matches := func(pattern, name string) bool {
		ok, err := path.Match(cmp.Or(pattern, "*"), name)
		return ok && err == nil
	}
	number, err := strconv.Atoi(cmp.Or(r.FormValue("pageNo"), "1"))
	if err != nil {
		return nil, err
	}
	size, err := strconv.Atoi(cmp.Or(r.FormValue("pageSize"), "100"))
	if err != nil {
		return nil, err
	}
	tenant := newConfigKey(r.FormValue("namespaceId"), "", "").Namespace
	list := []listedConfig{}
	for key, doc := range s.configs.all() {
		if key.Namespace == tenant && matches(group, key.Group) && matches(dataID, key.Name) {
			list = append(list, listedConfig{
				ID: doc.id, Namespace: cmp.Or(tenant, registry.DefaultNamespace), Group: key.Group, DataID: key.Name,
				MD5: doc.md5, Type: doc.typ,
			})
		}
	}
	slices.SortFunc(list, func(a, b listedConfig) int { return cmp.Or(len(a.ID)-len(b.ID), cmp.Compare(a.ID, b.ID)) })
	pages := (len(list) + max(1, size) - 1) / max(1, size)
	return map[string]any{
		"totalCount": len(list), "pageNumber": number, "pagesAvailable": pages, "pageItems": page(list, number, size),
	}, nil
}

// page returns one page of a list; the first is number 1. A client may ask for
// any page of any size.
func page[T any](list []T, number, size int) []T {
	size = min(max(0, size), len(list))
	number = min(max(1, number), len(list)+1)
	from := min((number-1)*size, len(list))
	return list[from:min(from+size, len(list))]
}
