package nacostest

import "net/http"

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
