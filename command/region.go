package command

import (
	"errors"
	"fmt"
	"net/netip"

	"geocache/config"
	"geocache/geo"
	"geocache/resp"
)

func regionRows() []Row {
	return []Row{
		closestRow(),
		{
			Name: "region", Arity: -2,
			Doc: Doc{
				Summary: "A container for commands about the regions of the deployment.",
				Since:   "1.0.0", Group: "region", Complexity: "Depends on subcommand.",
			},
			Subs: []Row{
				{
					Name: "add", Arity: -4, Flags: Admin | NoScript | NoMulti | Stale | Control, Run: regionAdd,
					Doc: Doc{
						Summary: "Links this region with a sibling, and remembers it over restarts.",
						Since:   "1.0.0", Group: "region",
						Complexity: "O(1), and with EMPTY O(N) where N is the number of keys",
						Args: []Arg{
							strArg("name"),
							{Name: "endpoint", Type: ArgString, Display: "host:port"},
							{Name: "location", Type: ArgBlock, Optional: Optional, Args: []Arg{
								{Name: "latitude", Type: ArgDouble},
								{Name: "longitude", Type: ArgDouble},
							}},
							{Name: "join", Type: ArgOneOf, Optional: Optional, Args: []Arg{
								tokenArg("merge"),
								tokenArg("empty"),
							}},
						},
					},
				},
				{
					Name: "digest", Arity: 2, Flags: Admin | NoScript | NoMulti | Control, Run: regionDigest,
					Doc: Doc{
						Summary: "Returns a digest of all data and the vector it was taken at: equal in regions that hold the same.",
						Since:   "1.0.0", Group: "region", Complexity: "O(N) where N is the number of keys",
						Tips: []string{"nondeterministic_output"},
					},
				},
				{
					Name: "drain", Arity: 3, Flags: Admin | NoScript | Loading | Stale | Control, Run: regionDrain,
					Doc: Doc{
						Summary: "Takes this region out of CLOSEST's answers, or back in; its links stay.",
						Since:   "1.0.0", Group: "region", Complexity: "O(1)",
						Args: []Arg{onOff("drained")},
					},
				},
				{
					Name: "frame", Arity: 4, Flags: Replication | NoScript | NoMulti | SkipMonitor | SkipSlowlog | Control,
					Run: regionFrame,
					Doc: Doc{
						Summary: "Takes in what a sibling sends. For sibling links only.",
						Since:   "1.0.0", Group: "region", Complexity: "O(N) where N is the size of the frame",
						Args: []Arg{strArg("from"), strArg("frame")},
					},
				},
				{
					Name: "help", Arity: 2, Flags: Loading | Stale | Control, Run: containerHelp,
					Doc: Doc{Summary: helpSummary, Since: "1.0.0", Group: "region", Complexity: "O(1)"},
				},
				{
					Name: "info", Arity: -2, Flags: Loading | Stale | Control, Run: regionInfo,
					Doc: Doc{
						Summary: "Describes one region: the named one, or this.",
						Since:   "1.0.0", Group: "region", Complexity: "O(N) where N is the number of regions",
						Tips: []string{"nondeterministic_output"},
						Args: []Arg{optional(strArg("name"))},
					},
				},
				{
					Name: "list", Arity: 2, Flags: Loading | Stale | Control, Run: regionList,
					Doc: Doc{
						Summary: "Describes all regions, this one first.",
						Since:   "1.0.0", Group: "region", Complexity: "O(N) where N is the number of regions",
						Tips: []string{"nondeterministic_output"},
					},
				},
				{
					Name: "remove", Arity: 3, Flags: Admin | NoScript | NoMulti | Stale | Control, Run: regionRemove,
					Doc: Doc{
						Summary: "Ends the link with a sibling; it can return only empty.",
						Since:   "1.0.0", Group: "region", Complexity: "O(1)",
						Args: []Arg{strArg("name")},
					},
				},
			},
		},
	}
}

func closestRow() Row {
	return Row{
		Name: "closest", Arity: -1, Flags: ReadOnly | Loading | Stale | Fast | Control,
		ACL: CatConnection, Run: closest,
		Doc: Doc{
			Summary: "Returns the endpoint of the nearest region that is up.",
			Since:   "1.0.0", Group: "region", Complexity: "O(N log N) where N is the number of regions",
			Tips: []string{"nondeterministic_output"},
			Args: []Arg{
				{Name: "point", Type: ArgOneOf, Optional: Optional, Args: []Arg{
					{Name: "location", Type: ArgBlock, Args: []Arg{
						{Name: "latitude", Type: ArgDouble},
						{Name: "longitude", Type: ArgDouble},
					}},
					{Name: "address", Type: ArgString, Token: "IP"},
				}},
				{Name: "order", Type: ArgOneOf, Token: "BY", Optional: Optional, Args: []Arg{
					tokenArg("distance"),
					tokenArg("rtt"),
				}},
				{Name: "count", Type: ArgInteger, Token: "COUNT", Optional: Optional},
				{Name: "ms", Type: ArgInteger, Token: "MAXLAG", Optional: Optional},
				optional(tokenArg("withdetails")),
			},
		},
	}
}

// failRegion replies with why the deployment is as it was.
func (c *Ctx) failRegion(err error) {
	var refused *config.SetError
	if errors.As(err, &refused) && refused.Kind == config.Refused {
		err = errors.New(refused.Reason)
	}
	c.FailWith(err)
}

func regionList(c *Ctx) {
	regions := c.Host.Regions().List()
	c.Out.Array(len(regions))
	for i := range regions {
		writeRegion(c.Out, &regions[i])
	}
}

func regionInfo(c *Ctx) {
	regions := c.Host.Regions().List()
	switch len(c.Args) {
	case 2:
		if len(regions) == 0 {
			c.Fail(resp.ErrNoRegion)
			return
		}
		writeRegion(c.Out, &regions[0])
		return
	case 3:
		for i := range regions {
			if regions[i].Name == string(c.Args[2]) {
				writeRegion(c.Out, &regions[i])
				return
			}
		}
		c.Fail(resp.NoSuchRegion(c.Args[2]))
		return
	}
	c.Fail(resp.WrongArity(c.Row.FullName()))
}

func writeRegion(w *resp.Writer, r *RegionInfo) {
	w.Map(1 + len(r.Fields))
	w.BulkString("name")
	w.BulkString(r.Name)
	for _, f := range r.Fields {
		w.BulkString(f.Name)
		switch v := f.Value.(type) {
		case int64:
			w.Int(v)
		case float64:
			w.Double(v)
		case string:
			w.BulkString(v)
		default:
			w.Null()
		}
	}
}

func regionAdd(c *Ctx) {
	r, err := parseRegion(c.Args[2:])
	if err != "" {
		c.Fail(err)
		return
	}
	if err := c.Host.Regions().Add(r); err != nil {
		c.failRegion(err)
		return
	}
	c.Out.OK()
}

// parseRegion reads name, endpoint, an optional place and how to join. Name and
// endpoint are checked by whoever adds the region, as those in a file are.
func parseRegion(args [][]byte) (r RegionSpec, err resp.Error) {
	r.Name, r.Endpoint = string(args[0]), string(args[1])
	args = args[2:]
	if len(args) > 0 && !isWord(args[0], "MERGE") && !isWord(args[0], "EMPTY") {
		if r.Lat, r.Lon, err = parsePoint(args); err != "" {
			return r, err
		}
		r.Located = On
		args = args[2:]
	}
	switch {
	case len(args) == 0:
	case len(args) == 1 && isWord(args[0], "MERGE"):
		r.Join = JoinMerge
	case len(args) == 1 && isWord(args[0], "EMPTY"):
		r.Join = JoinEmpty
	default:
		return r, resp.ErrSyntax
	}
	return r, ""
}

// parsePoint reads latitude and longitude from the front of args, which is not
// empty.
func parsePoint(args [][]byte) (lat, lon float64, err resp.Error) {
	lat, ok := resp.ParseFloat(args[0])
	if !ok || lat < -geo.MaxLatitude || lat > geo.MaxLatitude {
		return 0, 0, resp.ErrLatitude
	}
	if len(args) > 1 {
		lon, ok = resp.ParseFloat(args[1])
	}
	if len(args) < 2 || !ok || lon < -geo.MaxLongitude || lon > geo.MaxLongitude {
		return 0, 0, resp.ErrLongitude
	}
	return lat, lon, ""
}

func regionRemove(c *Ctx) {
	if err := c.Host.Regions().Remove(string(c.Args[2])); err != nil {
		c.failRegion(err)
		return
	}
	c.Out.OK()
}

func regionDrain(c *Ctx) { c.switchWith(c.Host.Regions().SetDrain) }

func regionDigest(c *Ctx) {
	digest, vector := c.Host.Regions().Digest()
	c.Out.Map(2)
	c.Out.BulkString("digest")
	c.Out.BulkString(fmt.Sprintf("%016x", digest))
	c.Out.BulkString("vector")
	c.Out.BulkString(vector)
}

func regionFrame(c *Ctx) {
	if err := c.Host.Regions().Frame(string(c.Args[2]), c.Args[3]); err != nil {
		c.FailWith(err)
		return
	}
	c.Out.OK()
}

// closestForm is how an answer is written.
type closestForm struct {
	many, details Switch
}

func closest(c *Ctx) {
	q, form, err := parseClosest(c.Args[1:])
	if err != "" {
		c.Fail(err)
		return
	}
	if q.Located == Off && q.ClientIP == "" {
		if ip := c.Sess.IP(); ip.IsValid() {
			q.ClientIP = ip.Unmap().String()
		}
	}
	answers, err := c.Host.Regions().Closest(q)
	if err != "" {
		c.Fail(err)
		return
	}
	write := writeEndpoint
	if form.details == On {
		write = writeDetails
	}
	if form.many == On {
		c.Out.Array(len(answers))
		for i := range answers {
			write(c.Out, &answers[i])
		}
		return
	}
	if len(answers) == 0 {
		c.Out.Null()
		return
	}
	write(c.Out, &answers[0])
}

// parseClosest reads CLOSEST's arguments: a point first, if it is given as
// coordinates, then options in any order, of which the last of a kind counts. A
// point given both ways is an error.
func parseClosest(args [][]byte) (q ClosestQuery, form closestForm, err resp.Error) {
	q.Count = 1
	if len(args) > 0 && !closestOption(args[0]) {
		if q.Lat, q.Lon, err = parsePoint(args); err != "" {
			return q, form, err
		}
		q.Located = On
		args = args[2:]
	}
	for len(args) > 0 {
		used := 2
		switch {
		case isWord(args[0], "WITHDETAILS"):
			form.details = On
			used = 1
		case len(args) < 2:
			return q, form, resp.ErrSyntax
		case isWord(args[0], "IP") && q.Located == Off && q.ClientIP == "":
			ip, bad := netip.ParseAddr(string(args[1]))
			if bad != nil {
				return q, form, resp.ErrInvalidAddress
			}
			q.ClientIP = ip.Unmap().String()
		case isWord(args[0], "BY") && isWord(args[1], "DISTANCE"):
			q.ByRTT = Off
		case isWord(args[0], "BY") && isWord(args[1], "RTT"):
			q.ByRTT = On
		case isWord(args[0], "COUNT"):
			n, ok := resp.ParseInt(args[1])
			if !ok {
				return q, form, resp.ErrNotInt
			}
			if n < 1 {
				return q, form, resp.ErrCountNotPositive
			}
			q.Count, form.many = int(n), On
		case isWord(args[0], "MAXLAG"):
			n, ok := resp.ParseInt(args[1])
			if !ok {
				return q, form, resp.ErrNotInt
			}
			if n < 1 {
				return q, form, resp.ErrNotPositive
			}
			q.MaxLagMs = n
		default:
			return q, form, resp.ErrSyntax
		}
		args = args[used:]
	}
	return q, form, ""
}

// closestOption tells an option from a coordinate.
func closestOption(arg []byte) bool {
	for _, w := range [...]string{"IP", "BY", "COUNT", "MAXLAG", "WITHDETAILS"} {
		if isWord(arg, w) {
			return true
		}
	}
	return false
}

func writeEndpoint(w *resp.Writer, a *ClosestAnswer) { w.BulkString(a.Endpoint) }

func writeDetails(w *resp.Writer, a *ClosestAnswer) {
	w.Map(6)
	w.BulkString("region")
	w.BulkString(a.Name)
	w.BulkString("endpoint")
	w.BulkString(a.Endpoint)
	writeMeasure(w, "distance-km", a.DistanceKm)
	writeMeasure(w, "rtt-ms", a.RTTMs)
	writeMeasure(w, "lag-ms", a.LagMs)
	w.BulkString("state")
	w.BulkString(a.State)
}

// writeMeasure writes null for what is not known.
func writeMeasure(w *resp.Writer, name string, v float64) {
	w.BulkString(name)
	if v < 0 {
		w.Null()
		return
	}
	w.Double(v)
}
