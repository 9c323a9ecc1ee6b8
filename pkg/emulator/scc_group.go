package emulator

import (
	"context"
	"slices"
	"strings"

	"cloud.google.com/go/securitycenter/apiv2/securitycenterpb"
	"google.golang.org/protobuf/types/known/structpb"
)

// GroupFindings counts findings by the documented fields.
func (s *sccService) GroupFindings(_ context.Context, req *securitycenterpb.GroupFindingsRequest) (*securitycenterpb.GroupFindingsResponse, error) {
	size, err := pageSize(req.GetPageSize(), 10, 1000)
	if err != nil {
		return nil, err
	}
	matching, err := s.search(req.GetParent(), req.GetFilter(), "securitycenter.findings.group")
	if err != nil {
		return nil, err
	}
	var fields []string
	for field := range strings.SplitSeq(req.GetGroupBy(), ",") {
		field = strings.TrimSpace(field)
		switch field {
		case "resource_name", "category", "state", "parent", "severity":
			fields = append(fields, field)
		default:
			return nil, invalid("Invalid group_by field %.200q.", field)
		}
	}
	groups := map[string]*securitycenterpb.GroupResult{}
	var order []string
	for _, m := range matching {
		g := &securitycenterpb.GroupResult{Properties: map[string]*structpb.Value{}}
		var key string
		for _, field := range fields {
			v := groupValue(m.finding, field)
			g.Properties[field] = structpb.NewStringValue(v)
			key += v + "\x00"
		}
		if groups[key] == nil {
			groups[key] = g
			order = append(order, key)
		}
		groups[key].Count++
	}
	slices.Sort(order)
	resp := &securitycenterpb.GroupFindingsResponse{TotalSize: total(order)}
	shown, next, err := page(order, size, req.GetPageToken(), req.GetParent(), req.GetFilter(), req.GetGroupBy())
	if err != nil {
		return nil, err
	}
	resp.NextPageToken = next
	for _, key := range shown {
		resp.GroupByResults = append(resp.GroupByResults, groups[key])
	}
	return resp, nil
}

func groupValue(f *securitycenterpb.Finding, field string) string {
	switch field {
	case "resource_name":
		return f.GetResourceName()
	case "category":
		return f.GetCategory()
	case "state":
		return f.GetState().String()
	case "parent":
		return f.GetParent()
	default:
		return f.GetSeverity().String()
	}
}
