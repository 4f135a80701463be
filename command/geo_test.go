package command

import (
	"testing"

	"geocache/resp"
)

func TestGeoPlaces(t *testing.T) {
	h := newHarness(t)
	h.run([]step{
		{"geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania", ":2"},
		{"geoadd g nx 0 0 Palermo", ":0"},
		{"geoadd g xx ch 0 0 none", ":0"},
		{"zscore g Palermo", `"3479099956230698"`},
		{"geohash g Palermo none", `["sqc8b49rny0", nil]`},
		{"geopos g Palermo none", `[["13.36138933897018433", "38.11555639549629859"], *nil]`},
		{"geodist g Palermo Catania", `"166274.1516"`},
		{"geodist g Palermo Catania KM", `"166.2742"`},
		{"geodist g Palermo none", "nil"},
		{"geodist none a b x", "-" + string(resp.ErrUnit)},
		{"geoadd g 181 0 a", "-" + string(resp.LonLatRange(181, 0))},
		{"geoadd g x 0 a", "-" + string(resp.ErrNotFloat)},
		{"geoadd g 1 1 a 2 2", "-" + string(resp.ErrSyntax)},
		{"geoadd g nx xx 1 1 a", "-" + string(resp.ErrSyntax)},
	})
	h.out.SetProto(3)
	h.run([]step{{"geopos g Catania none", "[[,15.087267458438873, ,37.50266842333162], _]"}})
}

func TestGeoSearch(t *testing.T) {
	h := newHarness(t)
	h.do("geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania 12.758489 38.788135 edge")
	h.run([]step{
		{"geosearch g fromlonlat 15 37 byradius 200 km asc", `["Catania", "Palermo"]`},
		{"geosearch g fromlonlat 15 37 byradius 200 km desc count 1", `["Palermo"]`},
		{"geosearch g fromlonlat 15 37 byradius 200 km count 1 withdist", `[["Catania", "56.4413"]]`},
		{"geosearch g frommember Palermo bybox 400 50 km asc", `["Palermo"]`},
		{"geosearch g bypolygon 3 12 38 14 38 12 40 asc", `["edge", "Palermo"]`},
		{"georadius g 15 37 200 km asc withhash", `[["Catania", :3479447370796909], ["Palermo", :3479099956230698]]`},
		{"georadiusbymember_ro g Palermo 100 km asc", `["Palermo", "edge"]`},
		{"geosearchstore d g fromlonlat 15 37 byradius 200 km", ":2"},
		{"zrange d 0 -1", `["Palermo", "Catania"]`},
		{"georadius g 15 37 200 km storedist d", ":2"},
		{"zrange d 0 -1", `["Catania", "Palermo"]`},
		{"geosearchstore d none fromlonlat 15 37 byradius 200 km", ":0"},
		{"exists d", ":0"},
		{"geosearch g frommember Palermo asc asc asc", "-" + string(resp.GeoBy([]byte("geosearch")))},
		{"geosearch g byradius 1 km asc asc", "-" + string(resp.GeoFrom([]byte("geosearch")))},
		{"geosearch g frommember nobody byradius 1 km", "-" + string(resp.ErrGeoMember)},
		{"geosearch g frommember Palermo byradius 1 km any", "-" + string(resp.ErrGeoAny)},
		{"geosearch g bypolygon 2 1 1 2 2", "-" + string(resp.ErrFewVertices)},
		{"geosearchstore d g frommember Palermo byradius 1 km withdist", "-" + string(resp.ErrStoreOfSearch)},
		{"georadius g 1 1 1 km store d withdist", "-" + string(resp.ErrStoreOfRadius)},
		{"georadius_ro g 1 1 1 km store d", "-" + string(resp.ErrSyntax)},
	})
}
