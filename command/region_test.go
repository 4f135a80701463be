package command

import (
	"errors"
	"net/netip"
	"strings"
	"testing"

	"geocache/config"
	"geocache/resp"
)

func TestRegionCommands(t *testing.T) {
	h, _, host := newFake(t)
	r := &host.regions
	h.run([]step{
		{"region list", "[]"},
		{"region info", "-" + string(resp.ErrNoRegion)},
		{"region info x", "-ERR No such region 'x'"},
	})
	r.infos = []RegionInfo{
		{Name: "toronto", Fields: []Field{{"endpoint", "10.0.0.1:6379"}, {"lag-ms", int64(3)}, {"latitude", 43.5}, {"rtt-ms", nil}}},
		{Name: "lagos", Fields: []Field{{"state", "down"}}},
	}
	const toronto = `["name", "toronto", "endpoint", "10.0.0.1:6379", "lag-ms", :3, "latitude", "43.5", "rtt-ms", nil]`
	const lagos = `["name", "lagos", "state", "down"]`
	h.run([]step{
		{"region list", "[" + toronto + ", " + lagos + "]"},
		{"region info", toronto},
		{"region info lagos", lagos},
		{"region info nosuch", "-ERR No such region 'nosuch'"},
		{"region info a b", "-ERR wrong number of arguments for 'region|info' command"},
		{"region drain on", "+OK"},
		{"region drain OFF", "+OK"},
		{"region drain x", "-ERR syntax error"},
		{"region digest", `["digest", "0000000000000abc", "vector", "toronto:5"]`},
		{"region remove lagos", "+OK"},
		{"region frame lagos bytes", "+OK"},
		{"region", "-ERR wrong number of arguments for 'region' command"},
		{"region nope", "-ERR unknown subcommand 'nope'. Try REGION HELP."},
	})
	if have := did(&r.did); have != `[drain 1 drain 0 remove lagos frame lagos "bytes"]` {
		t.Error(have)
	}
	r.err = resp.ErrRegionFrame
	h.run([]step{{"region frame lagos x", "-" + string(resp.ErrRegionFrame)}})
	r.err = resp.NoSuchRegion([]byte("x"))
	h.run([]step{{"region remove x", "-ERR No such region 'x'"}})
	h.out.SetProto(3)
	h.run([]step{{"region info", `%{"name": "toronto", "endpoint": "10.0.0.1:6379", "lag-ms": :3, "latitude": ,43.5, "rtt-ms": _}`}})
}

func TestRegionAdd(t *testing.T) {
	h, _, host := newFake(t)
	r := &host.regions
	for request, want := range map[string]RegionSpec{
		"lagos h:1":               {Name: "lagos", Endpoint: "h:1"},
		"lagos h:1 6.5 -3.25":     {Name: "lagos", Endpoint: "h:1", Lat: 6.5, Lon: -3.25, Located: On},
		"lagos h:1 merge":         {Name: "lagos", Endpoint: "h:1", Join: JoinMerge},
		"lagos h:1 EMPTY":         {Name: "lagos", Endpoint: "h:1", Join: JoinEmpty},
		"lagos h:1 -90 180 empty": {Name: "lagos", Endpoint: "h:1", Lat: -90, Lon: 180, Located: On, Join: JoinEmpty},
	} {
		h.run([]step{{"region add " + request, "+OK"}})
		if r.added != want {
			t.Errorf("%s: %+v", request, r.added)
		}
	}
	lat, lon := "-"+string(resp.ErrLatitude), "-"+string(resp.ErrLongitude)
	h.run([]step{
		{"region add lagos", "-ERR wrong number of arguments for 'region|add' command"},
		{"region add lagos h:1 91 0", lat},
		{"region add lagos h:1 x 0", lat},
		{"region add lagos h:1 nan 0", lat},
		{"region add lagos h:1 1 -180.5", lon},
		{"region add lagos h:1 1 merge", lon},
		{"region add lagos h:1 1", lon},
		{"region add lagos h:1 1 2 3", "-ERR syntax error"},
		{"region add lagos h:1 merge empty", "-ERR syntax error"},
	})
	r.err = &config.SetError{Argument: "sibling", Reason: "endpoint must be HOST:PORT"}
	h.run([]step{{"region add lagos h", "-ERR endpoint must be HOST:PORT"}})
	r.err = resp.ErrRegionBothHave
	h.run([]step{{"region add lagos h:1", "-" + string(resp.ErrRegionBothHave)}})
	r.err = errors.New("broken")
	h.run([]step{{"region add lagos h:1", "-ERR broken"}})
}

func TestClosest(t *testing.T) {
	h, s, host := newFake(t)
	r := &host.regions
	h.run([]step{
		{"closest", "nil"},
		{"closest count 3", "[]"},
		{"closest 1 2 withdetails", "nil"},
	})
	r.answers = []ClosestAnswer{
		{Name: "toronto", Endpoint: "t:1", DistanceKm: 504.5, RTTMs: 10, LagMs: 2, State: "up"},
		{Name: "lagos", Endpoint: "l:1", DistanceKm: -1, RTTMs: -1, LagMs: -1, State: "down"},
	}
	const toronto = `["region", "toronto", "endpoint", "t:1", "distance-km", "504.5", "rtt-ms", "10", "lag-ms", "2", "state", "up"]`
	const lagos = `["region", "lagos", "endpoint", "l:1", "distance-km", nil, "rtt-ms", nil, "lag-ms", nil, "state", "down"]`
	for _, c := range []struct {
		request, reply string
		query          ClosestQuery
	}{
		{"closest", `"t:1"`, ClosestQuery{ClientIP: "127.0.0.1", Count: 1}},
		{"closest 45.5 -73.5", `"t:1"`, ClosestQuery{Lat: 45.5, Lon: -73.5, Located: On, Count: 1}},
		{"closest 90 -180 WITHDETAILS", toronto, ClosestQuery{Lat: 90, Lon: -180, Located: On, Count: 1}},
		{"closest 0 0 count 1", `["t:1"]`, ClosestQuery{Located: On, Count: 1}},
		{"closest 0 0 count 9 withdetails", "[" + toronto + ", " + lagos + "]", ClosestQuery{Located: On, Count: 9}},
		{"closest withdetails COUNT 2", "[" + toronto + ", " + lagos + "]", ClosestQuery{ClientIP: "127.0.0.1", Count: 2}},
		{"closest ip 203.0.113.9 by rtt maxlag 50", `"t:1"`, ClosestQuery{ClientIP: "203.0.113.9", ByRTT: On, Count: 1, MaxLagMs: 50}},
		{"closest 0 0 by rtt by distance", `"t:1"`, ClosestQuery{Located: On, Count: 1}},
		{"closest IP ::ffff:203.0.113.9", `"t:1"`, ClosestQuery{ClientIP: "203.0.113.9", Count: 1}},
	} {
		h.run([]step{{c.request, c.reply}})
		if r.query != c.query {
			t.Errorf("%s: asked %+v, want %+v", c.request, r.query, c.query)
		}
	}
	lat, lon := "-"+string(resp.ErrLatitude), "-"+string(resp.ErrLongitude)
	const syntax = "-ERR syntax error"
	h.run([]step{
		{"closest 90.1 0", lat},
		{"closest -inf 0", lat},
		{"closest north 0", lat},
		{"closest 0 180.1", lon},
		{"closest 0 east", lon},
		{"closest 0", lon},
		{"closest 0 count 3", lon},
		{"closest 0 0 ip 1.2.3.4", syntax},
		{"closest ip 1.2.3.4 ip 1.2.3.4", syntax},
		{"closest ip here", "-ERR invalid IP address"},
		{"closest ip", syntax},
		{"closest 0 0 by", syntax},
		{"closest 0 0 by foot", syntax},
		{"closest 0 0 foo", syntax},
		{"closest 0 0 0", syntax},
		{"closest count 0", "-ERR count should be greater than 0"},
		{"closest count x", "-ERR value is not an integer or out of range"},
		{"closest maxlag 0", "-ERR value is out of range, must be positive"},
		{"closest maxlag x", "-ERR value is not an integer or out of range"},
	})
	s.ip = netip.Addr{}
	h.run([]step{{"closest", `"t:1"`}})
	if r.query.ClientIP != "" {
		t.Error("an address over a unix socket: ", r.query.ClientIP)
	}
	r.refused = resp.ErrNoRegion
	h.run([]step{{"closest", "-" + string(resp.ErrNoRegion)}})
	r.refused = ""
	h.out.SetProto(3)
	if v := h.do("closest withdetails"); !strings.Contains(v, `"distance-km": ,504.5`) {
		t.Error(v)
	}
}
