package handlers

// What the tests of the screens' pure parts see.
type (
	MemberQuery = memberQuery
	Result      = result
)

var (
	ParseMemberQuery = parseMemberQuery
	SignInFacts      = signInFacts
	OtherWays        = otherWays
	LooksLike        = looksLike
	NameMatches      = nameMatches
	ResultOf         = resultOf
	CountThousands   = thousands
	CountOpen        = countOpen
	OfficeHoursText  = officeHoursText
	ChartBars        = chartBars
)

func (q memberQuery) NextPage(cursor string) string { return q.nextPage(cursor) }
func (q memberQuery) PreviousPage() string          { return q.previousPage() }
func (r result) Head() string                       { return r.head }
func (r result) Text() string                       { return r.text }
func (r result) Kind() string                       { return string(r.kind) }
