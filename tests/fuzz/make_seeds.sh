#!/usr/bin/env bash
# Writes the seeds of the fuzzers, seeds/FORMAT/NAME, anew: made-up files with what real ones have. What a fuzzer has found
# (seeds/FORMAT/found-*) is left alone.
set -euo pipefail
cd "$(dirname "$0")/seeds" 2>/dev/null || { mkdir -p "$(dirname "$0")/seeds" && cd "$(dirname "$0")/seeds"; }
seed() { # FORMAT NAME TEXT, the text with the escapes of printf
  mkdir -p "$1"
  # shellcheck disable=SC2059  # the text is a format
  printf "$3" > "$1/$2"
}
packed() { # FORMAT NAME: compressed forms of a seed
  gzip -9 -n < "$1/$2" > "$1/$2.gz"
  zstd -q -19 < "$1/$2" > "$1/$2.zst"
  cat "$1/$2.gz" "$1/$2.gz" > "$1/$2-twice.gz"
  head -c 25 "$1/$2.gz" > "$1/$2-cut.gz"
  (cat "$1/$2.zst"; printf 'garbage') > "$1/$2-garbage.zst"
}

for format in recbole movielens-100k movielens-1m movielens-csv amazon-json amazon-csv amazon-csv-2018 yelp-json sequences pairs csv json python netflix; do
  seed $format empty ''
  seed $format mark '\357\273\277'
  seed $format lines '\n\r\n\n'
  seed $format null 'a\0b\tc\nd 1\n'
  seed $format stub 'version https://git-lfs.github.com/spec/v1\noid sha256:0123\nsize 24594131\n'
done

h='user_id:token\titem_id:token\trating:float\ttimestamp:float\n'
seed recbole plain "${h}u1\ti1\t5\t978300760\nu2\ti2\t3.5\t1.39e+09\n"
seed recbole header "$h"
seed recbole order 'timestamp:float\titem_id:token\tx:token_seq\tuser_id:token\n0.25\ti1\ta b\tu1\n0.125\ti1\t\tu2\n'
seed recbole untimed 'item_id\tuser_id\n1\t2\n3\n\t4\n'
seed recbole dates "${h}u\ti\t1\t2016-07-25 06:28:49.25\nu\ti\t1\t2016-07-25T06:28:49+02:00\nu\ti\tx\t2016-02-30\n"
seed recbole again "${h}u\ti\t1\t5\n${h}v\tj\t2\t6\n\357\273\277${h}w\tk\t3\t7\n"
seed recbole order-again 'user_id:token\titem_id:token\nu\ti\nitem_id:token\tuser_id:token\nj\tv\n'
packed recbole plain
seed movielens-100k plain '196\t242\t3\t881250949\r\n186\t302\t3\t891717742\r\n1\t2\tx\t5\n1\t\t5\t6'
seed movielens-100k times '1\t1\t1\t-9223372036854775808\n1\t1\t1\t9223372036854775807\n1\t1\t1\t9223372036854775808\n1\t1\t1\t1e-400\n'
packed movielens-100k plain
seed movielens-1m plain '1::1193::5::978300760\r\n1::661::3::978302109\n2::a:b::3::978302109\n::::::::\n:::::\n'
packed movielens-1m plain
h='userId,movieId,rating,timestamp\r\n'
seed movielens-csv plain "\357\273\277${h}1,31,2.5,1260759144\r\n\"1\",\"31\",\"2.5\",\"1260759144\""
seed movielens-csv quotes "${h}\"a\"\"b\",31,2.5,1\n\"a,31,2.5,1\n\"a\"x,31,2.5,1\n1,\"\",2,3\n"
seed movielens-csv again "${h}1,31,2.5,5\n\357\273\277\"userId\",movieId,rating,timestamp\n2,31,2.5,6\n"
packed movielens-csv plain
seed amazon-csv plain 'A1B,0042,5.0,1005177600\nA2C,B000,1.0,1005177601.5\nA2C,B000,nan,1\n'
seed amazon-csv-2018 plain '0042,A1B,5.0,1005177600\nB000,A2C,1.0,1005177600000\n"B,0",A2C,1.0,5\n'
seed amazon-csv decimals 'u,i,5,1400000000.123456789\nu,i,5,1400000000.1234567891\n\357\273\277u,i,5,9223372036\n'
packed amazon-csv plain
packed amazon-csv-2018 plain
seed amazon-json plain '{"reviewerID": "A1", "asin": "0042", "helpful": [1, 2], "reviewText": "a \\"b\\" } \\u00e9 \\ud83d\\ude00", "overall": 5.0, "unixReviewTime": 1000684800, "reviewTime": "09 17, 2001"}\n{"overall": 4.0, "style": {"Size:": " Big"}, "unixReviewTime": 1400000000.25, "asin": "B0", "reviewerID": "A2"}\n'
seed amazon-json bad '{"reviewerID": "A1"\n{}\n[]\nnull\n{"reviewerID": null, "asin": 1, "overall": 5, "unixReviewTime": 1}\n{"reviewerID": "\\u0000", "asin": "1", "overall": 5, "unixReviewTime": 1}\n{"reviewerID": "\\ud800", "asin": "1", "overall": 5, "unixReviewTime": 1}\n'
packed amazon-json plain
seed yelp-json plain '{"review_id":"r","user_id":"-u_","business_id":"b","stars":4,"text":"\303\251","date":"2016-07-25 06:28:49"}\n{"user_id":"v","business_id":"b","stars":"5","date":"2016-07-25"}\n'
packed yelp-json plain
seed json plain '{"u":"a","i":"b","t":1.5,"r":3}\n{"u":1,"i":9007199254740993,"t":"2"}\n{"i":-7,"u":1e-3,"t":1e300,"r":[]}\n'
seed json deep '[[[[[[[[[[[[[[[[[[[[[[[[{"u":{"u":{"u":1}}}]]]]\n{"u":{"i":1},"i":true}\n'
seed json digits '{"u":"a","i":"b","t":1400000000.123456789}\n{"u":"a\\"t\\":","i":[{"t":1}],"t" : 1400000000123456789 }\n{"i":"b","u":"c"}\n{"t":-1e-9}\n'
packed json plain
seed json paths '{"u":1,"e":[{"i":"a","t":1,"k":"x"},{"i":"b","t":2},{"i":[3,[4]],"t":3,"k":true}]}\n{"u":"v","e":[]}\n{"u":"w","e":{"i":"c","t":4}}\n{"u":"x","e":[[{"i":5}],7]}\n'
seed json side '{"u":12345678901234567890,"i":[1,2,3],"t":[4,5,6],"r":NaN}\n{"u":1,"i":[1,2],"t":[3]}\n{"u":-0,"i":007,"t":-Infinity}\n{"u":1.0,"i":1e2,"t":1E400}\n'
seed json escapes '{"\\u0075":"\\ud83d\\ude00","i":"\\"\\\\\\/\\b\\f\\n\\r\\t","t":"\\u0000"}\n{"u":"\\q","i":1}\n{"u":"\\ude00","i":1}\n{"u":"a","i":"b\n'
seed json document '{\n  "u": [\n    1\n  ]\n}\n'
seed json array '[{"u":"a","i":"x","t":1},\n {"u":"a","i":"y","t":2}]\n'
seed python plain "{u'u': u'a', u'i': u'b', u't': u'2015-07-10', u'f': False, u'r': 10.9, u'x': u\"it's\"}\n{'u': 7L, 'i': 'caf\\\\xe9', 't': 5, 'n': None, 'l': [1, (2,), ()], 'd': {1: True,},}\n"
seed python escapes "{'u': '\\\\101\\\\x41\\\\u00e9\\\\U0001f600\\\\q\\\\'', \"i\": b\"\\\\\"\", 't': nan}\n{'u': '\\\\x4', 'i': 1}\n{'u': '\\\\ud800', 'i': 1}\n{u'u': -inf, 'i': -5}\n"
packed python plain
seed netflix plain '1:\n1488844,1,2005-09-10\n822109,5,2005-05-13\n2:\r\n1488844,4,2005-09-13\n:\n3,4\n4:5\nx,nan,2005-01-01\n'
seed netflix headless '7,1,2005-09-10\n1:\n7,1,2005-09-11\n'
packed netflix plain
seed sequences counted '2 a b\n1 c\n0\n3 d e\nx y\n# z\n'
seed sequences plain 'a 1 2 3\nb\t2  1 \n c 3\r\nd\n   \n'
seed pairs plain 'a 1\nb 2\na 3\nb\nc 1 2\n\303\251 \351\n'
long="$(printf '%*s' 1024 '' | tr ' ' x)"
seed pairs long "$long 1\n${long}x 2\na ${long}x\n"
seed pairs longer "a 1\n$long$long\nb 2\n"
seed csv long "a,${long},5\n\"a\n${long}\n\",b,6\na,${long}x,7\n"
packed sequences plain
packed pairs plain
for length in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do # the length of a file chooses options: see check_reader.c
  seed csv "comma-$length" "u,i,t,r\na,b,5,1\n\"c,1\",\"d\"\"e\",6,2\n\"two\nlines\",x,7,3\nNA,y,8,4\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
  seed csv "colon-$length" "u::i::t::r\na::b::5::1\n\"c::1\"::d::6::2\n::\":::x::7\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
  seed csv "tab-$length" "u\ti\tt\tr\na\tb\t2016-01-01\t1\n\"c\n\n\n\"\td\t6\t2\n\"\"x\ty\t7\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
  seed csv "swallow-$length" "u,i,t,r\na,b,5,1\nc,\"d,6,2\ne,f,7,3\ng,h\",8,4\nu,i,t,r\nj,\"k\nl\",9,5\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
  seed csv "blanks-$length" "# a comment\nu i t r\n  a\t b 5 1 \n\"c d\" 6 2\nu  1,2,3 [4,5,6] 7 8\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
  seed csv "lists-$length" "u,i,t,r\nu,['a' 'b'],5 6,1\nu,[c],7,2,x\n\"v\",\"['d'\n 'e']\",\"8 9\",3\nw,,,\n$(printf '%*s' "$length" '' | tr ' ' x)\n"
done
packed csv comma-3
