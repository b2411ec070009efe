package sandbox

import "strings"

// person is a made-up name and the part of an address before the @.
type person struct{ name, local string }

// script is a set of names of one writing system. Each entry is the name and, after a slash, how an address spells it.
type script struct{ given, family string }

var scripts = [...]script{
	{
		given: "Alice Amir Anders Beatriz Benoît/benoit Bruno Carla Chidi Chloé/chloe Clara Daniel Dilan Elena Elif Emeka Emil Eva Farah Felix " +
			"Fiona Frida Gabriel Hana Hanna Hugo Ines Isaac Ivan Jakob Jana Jasmin Jonas Julia Kai Karim Lars Leila Liam Linh Lucía/lucia Luka " +
			"Malik Mateo Mia Nadia Nils Noah Nora Omar Oskar Paulo Priya Rafael Rosa Sara Søren/soeren Tariq Teresa Tomás/tomas Vera Yara Zofia",
		family: "Abbas Adeyemi Almeida Andersen Bauer Becker Bianchi Bergström/bergstroem Castro Costa Delgado Dubois Eriksen Fischer Fontaine García/garcia " +
			"Haddad Hansen Hoffmann Horvat Ibrahim Jansen Jensen Kaya Keller Khan Kowalski Kumar Larsen Lefèvre/lefevre Lopez Marino Mensah " +
			"Müller/mueller Ncube Nguyen Nkosi Novák/novak Nowak O'Brien/obrien Olsen Öztürk/oeztuerk Patel Pereira Popescu Rahman Ricci Romano " +
			"Santos Schmidt Sharma Silva Singh Sørensen/soerensen Suzuki Tran Vargas Visser Weber Yilmaz Zhang Zieliński/zielinski",
	},
	{
		given:  "Анна/anna.k Дмитрий/dmitri Екатерина/ekaterina Михаил/mikhail Ольга/olha Сергій/serhii",
		family: "Іваненко/ivanenko Кузнецов/kuznetsov Мельник/melnyk Попова/popova Соколов/sokolov Шевченко/shevchenko",
	},
	{
		given:  "Αλέξανδρος/alexandros Ελένη/eleni Γιώργος/giorgos Μαρία/maria.g",
		family: "Παπαδόπουλος/papadopoulos Νικολάου/nikolaou Γεωργίου/georgiou",
	},
	{
		given:  "أحمد/ahmed فاطمة/fatima ليلى/layla يوسف/yusuf",
		family: "الحسن/alhassan منصور/mansour النجار/alnajjar",
	},
	{
		given:  "דוד/david יעל/yael נועה/noa",
		family: "כהן/cohen לוי/levi מזרחי/mizrahi",
	},
	{
		given:  "अनिल/anil दीपा/deepa राहुल/rahul",
		family: "गुप्ता/gupta वर्मा/verma जोशी/joshi",
	},
	{
		given:  "明/akira さくら/sakura 健太/kenta 陽子/yoko",
		family: "佐藤/sato 鈴木/suzuki.j 高橋/takahashi",
	},
	{
		given:  "伟/wei 静/jing 秀英/xiuying",
		family: "李/li 王/wang 陈/chen",
	},
	{
		given:  "민준/minjun 서연/seoyeon 지우/jiwoo",
		family: "김/kim 박/park 최/choi",
	},
	{
		given:  "สมชาย/somchai สุดา/suda",
		family: "ใจดี/jaidee ศรีสุข/srisuk",
	},
}

// people lists every combination once; no two have the same local part.
func people() []person {
	var out []person
	for _, s := range scripts {
		families := strings.Fields(s.family)
		for given := range strings.FieldsSeq(s.given) {
			givenName, givenLocal := spelling(given)
			for _, family := range families {
				familyName, familyLocal := spelling(family)
				out = append(out, person{name: givenName + " " + familyName, local: givenLocal + "." + familyLocal})
			}
		}
	}
	return out
}

func spelling(entry string) (name, local string) {
	name, local, ok := strings.Cut(entry, "/")
	if !ok {
		local = strings.ToLower(name)
	}
	return name, local
}
