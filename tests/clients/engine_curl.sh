#!/bin/sh
# curl against the embedded engine.
#
# usage: engine_curl.sh URL USER PASSWORD [--read-only]
# Prints one JSON line; exit code 1 on any failure.
url=$1 user=$2 password=$3 mode=$4
passed='' failed=''

check() { # name, expected, found
    if [ "$2" = "$3" ]; then
        passed="$passed${passed:+, }\"$1\""
    else
        failed="$failed${failed:+, }\"$1\": \"$(printf '%s' "$3" | head -c 200 | tr -d '\\"\n\r\t')\""
    fi
}
ask() { curl -sS -u "$user:$password" "$@"; }
status() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }

check ping 'Ok.' "$(curl -sS "$url/ping")"
check body 1 "$(ask "$url/" --data-binary 'SELECT 1')"
check url 2 "$(ask -G "$url/" --data-urlencode 'query=SELECT 1 + 1')"
check headers 3 "$(curl -sS -H "X-ClickHouse-User: $user" -H "X-ClickHouse-Key: $password" "$url/" -d 'SELECT 3')"
check parameter "it's" "$(ask -G "$url/" --data-urlencode 'query=SELECT {x:String} FORMAT TSVRaw' --data-urlencode "param_x=it's")"
check form 5 "$(ask "$url/?query=SELECT+%7Bn%3AUInt8%7D" -F param_n=5)"
check format '[1]' "$(ask "$url/?default_format=JSONCompactEachRow" -d 'SELECT 1')"
check gzip 100000 "$(ask --compressed -H 'Accept-Encoding: gzip' "$url/?enable_http_compression=1" -d 'SELECT number FROM numbers(100000)' | wc -l | tr -d ' ')"
check wrong_password 403 "$(status -u "$user:wrong" "$url/" -d 'SELECT 1')"
check no_password 401 "$(status "$url/" -d 'SELECT 1')"
check unknown_table 404 "$(status -u "$user:$password" "$url/" -d 'SELECT * FROM no_such_table')"
check syntax 400 "$(status -u "$user:$password" "$url/" -d 'SELECT * FROM')"
check several 400 "$(status -u "$user:$password" "$url/" -d 'SELECT 1; SELECT 2')"
if [ "$mode" = --read-only ]; then
    check refused 403 "$(status -u "$user:$password" "$url/" -d 'DROP DATABASE hypocenter')"
    check file_refused 403 "$(status -u "$user:$password" "$url/" -d "SELECT file('/etc/passwd')")"
else
    ask "$url/" -d 'CREATE OR REPLACE TABLE curl_client_test (a UInt8, b String) ENGINE = MergeTree ORDER BY a' >/dev/null
    printf '1,"x\n\ny"\n2,z\n' | ask "$url/?query=INSERT+INTO+curl_client_test+FORMAT+CSV" --data-binary @- >/dev/null
    printf '3,w\n' | gzip | ask -H 'Content-Encoding: gzip' "$url/?query=INSERT+INTO+curl_client_test+FORMAT+CSV" --data-binary @- >/dev/null
    check insert "3	4" "$(ask "$url/" -d 'SELECT count(), length(any(b)) FROM curl_client_test WHERE a = 1 OR 1 SETTINGS max_threads = 1')"
    ask "$url/" -d 'DROP TABLE curl_client_test' >/dev/null
fi
printf '{"client": "curl", "passed": [%s], "failed": {%s}}\n' "$passed" "$failed"
[ -z "$failed" ]
