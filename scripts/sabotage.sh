#!/usr/bin/env bash
# Shows that the tests notice: breaks each central rule in turn, and demands that a test fails and says so.
#
#   scripts/sabotage.sh [NAME...]   every break, or these (docs/sabotage.md)
#
# Builds the tests once with the feature `sabotage`, which no release build has, and into a folder of its own, so that
# no other build takes such a program for its own. The tests of a break first have to pass with nothing broken. Then
# LEVERET_SABOTAGE names the break, and each has to fail by an assertion that matches the row's words: a loss, a second
# run, two holders. A crash, a skip or a test that hangs proves nothing.
# Takes the servers that LEVERET_TEST_* names, or starts its own. The result is a table.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# shellcheck source=machine.sh source-path=SCRIPTDIR
. scripts/machine.sh

# Longer than the longest wait of a test for what never comes.
limit_seconds=300

# row NAME RULE PACKAGE TARGET TEST WORDS: the words are an extended regular expression.
rows=()
row() { rows+=("$1"$'\t'"$2"$'\t'"$3"$'\t'"$4"$'\t'"$5"$'\t'"$6"); }

row ack-before-record 'ack last' loadtest test chaos::on_embedded::a_worker_that_is_killed_anywhere_loses_nothing '[0-9]+ lost: '
row retry-published-after-ack 'publish, mark, ack' loadtest test chaos::on_embedded::a_worker_that_is_killed_anywhere_loses_nothing '[0-9]+ lost: '
row park-without-publish 'copy before ack' loadtest test chaos::on_rabbitmq_3::a_worker_that_is_killed_anywhere_loses_nothing '[0-9]+ lost: '
row refusal-acked 'a refused owner claims again' worker lib settle::journey_tests::a_refused_owner_that_acks_loses_the_task 'lost: '
row resumed-as-delivered 'an outcome keeps its numbers' worker lib settle::journey_tests::nothing_is_lost_and_every_second_run_is_explained 'lost: Order .* never ran'
row takeover-without-grace 'everybody speaks first' worker test robbed::an_owner_that_was_not_heard_of_may_speak_before_a_new_worker_takes_over::rabbitmq_3 'its owner lives: one run'
row bare-setnx 'claims end with their owners' loadtest test chaos::on_rabbitmq_3::a_worker_that_is_killed_anywhere_loses_nothing '[0-9]+ lost: '
row bare-setnx 'claims end with their owners' worker lib settle::journey_tests::nothing_is_lost_and_every_second_run_is_explained 'lost: |at rest with an open entry'
row takeover-without-fence 'takeover is compare-and-set' worker lib settle::journey_tests::nothing_is_lost_and_every_second_run_is_explained 'second run|cancel forgotten|lost: '
row takeover-without-fence 'takeover is compare-and-set' common test conformance::redis_7_keeps_every_promise_of_a_store 'of_two_takeovers_one_wins: '
row stale-order-ignored 'older attempts are stale' worker lib settle::journey_tests::nothing_is_lost_and_every_second_run_is_explained 'second run'
row fence-restarts 'fences grow' common test conformance::redis_7_keeps_every_promise_of_a_store 'a_fence_grows_with_every_claim_even_over_an_absent_entry: '
row expiry-first 'what is decided stands' worker lib settle::journey_tests::an_expiry_that_goes_before_a_recorded_success_loses_its_follow_up 'lost: the follow-up'
row crash-not-charged 'a killer starts three times' common test conformance::embedded_keeps_every_promise_of_a_store 'crashes_up_to_the_limit_make_a_dead_letter: '
row crash-not-charged 'a killer starts three times' common test conformance::redis_7_keeps_every_promise_of_a_store 'crashes_up_to_the_limit_make_a_dead_letter: '
row charge-neighbours 'neighbours are not charged' worker test suspects::who_waits_for_a_turn_is_not_charged_for_the_suspect_whose_turn_it_is::embedded 'others wait without a claim|neither running nor waiting: Some.Finishing'
row heartbeat-lists-nothing 'a heartbeat renews what is held' worker test robbed::a_claim_that_its_owner_renews_is_nobody_elses_however_old_it_is::rabbitmq_3 'its owner lives: one run'
row copied-x-headers 'clean headers' worker test delays::a_task_that_the_broker_has_moved_before_is_delayed_like_any_other::rabbitmq_3 'it is lost'
row confirm-not-awaited 'Ok is a confirm' common test rabbitmq::on_3::what_is_accepted_by_a_queue_that_is_full_is_there 'not so that all of [0-9]+ accepted messages are there'
row not-mandatory 'nothing returned is Ok' common test rabbitmq::on_3::what_is_accepted_after_its_queue_was_deleted_is_there 'not so that all of [0-9]+ accepted messages are there'
row unknown-is-accepted 'unknown is no success' producer test one::a_task_that_was_not_confirmed_is_published_again_under_the_id_of_the_error 'unwrap_err'
row follow-up-id-random 'the same follow-up, the same id' worker test follow_ups::what_is_enqueued_during_the_run_is_the_same_task_when_the_attempt_is_made_again::embedded 'left: |right: '
row occurrence-id-random 'the same occurrence, the same id' cli test schedules::killed::a_leader_is_killed_after_the_confirm::on_rabbitmq_3 'right: Some\(1\)'
row position-before-confirm 'a position follows its confirm' beat test engine::trouble::what_is_not_confirmed_is_tried_again_and_the_position_waits::on_embedded 'left: |right: '
row letter-acked-unconfirmed 'a letter is acked after its copy' common test conformance::memory_keeps_every_promise_of_a_desk 'a_refused_publish_loses_no_letter: '
row row-marked-unconfirmed 'a row is marked after its confirm' outbox lib relay::tests::a_lane_in_trouble_holds_up_no_other 'problem like|left: |right: '
row lock-extended-without-owner-check 'one holder' common test conformance::embedded_keeps_every_promise_of_a_store 'a_lease_is_renewed_only_under_its_epoch: '
row lock-extended-without-owner-check 'one holder' common test conformance::redis_7_keeps_every_promise_of_a_store 'a_lease_is_renewed_only_under_its_epoch: '

work=$(mktemp -d "${TMPDIR:-/tmp}/leveret-sabotage.XXXXXX")
cleanup() {
    [ ! -d "$work/services" ] || scripts/services.sh down "$work/services"
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

start_services() {
    [ -z "${LEVERET_TEST_RABBITMQ_3:-}" ] || return 0
    scripts/services.sh up "$work/services"
    # shellcheck source=/dev/null
    . "$work/services/env"
}

# Writes $work/programs: folder, kind of target and path of each test program.
build() {
    local packages=(-p leveret-common -p leveret-producer -p leveret-beat -p leveret-worker -p leveret-outbox -p leveret -p leveret-loadtest)
    local part='s/.*"package_id":"[^"]*\/\([^/"#]*\)#[^"]*".*"kind":\["\([a-z]*\)"\].*"executable":"\([^"]*\)".*/\1 \2 \3/p'
    say "building the tests with the feature sabotage"
    cargo test --no-run --message-format json --target-dir "${CARGO_TARGET_DIR:-target}/sabotage" \
        --features leveret/failpoints,leveret/sabotage "${packages[@]}" >"$work/messages" 2>"$work/build.log" || {
        cat "$work/build.log" >&2
        die "the tests do not build"
    }
    grep '"test":true' "$work/messages" | sed -n "$part" >"$work/programs"
}

# Runs one test, with this rule broken; nothing is broken by the empty name.
run_test() { # rule folder target test
    local program
    program=$(awk -v f="$2" -v t="$3" '$1 == f && $2 == t { print $3 }' "$work/programs")
    [ -n "$program" ] || die "there is no test program of $2, $3"
    local names=()
    [ -z "$1" ] || names=("LEVERET_SABOTAGE=$1")
    (cd "$2" && CI=true timeout "$limit_seconds" env "${names[@]}" "$program" --exact "$4" --nocapture) \
        >"$work/output" 2>&1
}

complain() { # why...
    failures+=("$*")
    tail -n 40 "$work/output" >&2
}

# Without a break the test has to pass; once for all rows that name it.
declare -A passes=()
passes_unbroken() { # folder target test
    local key="$1 $3"
    if [ -z "${passes[$key]:-}" ]; then
        passes[$key]=no
        if run_test '' "$1" "$2" "$3" && grep -q '^test result: ok. 1 passed' "$work/output"; then
            passes[$key]=yes
        fi
    fi
    [ "${passes[$key]}" = yes ]
}

# With it the test has to fail by an assertion in the row's words.
is_noticed() { # rule folder target test words
    local code=0
    run_test "$1" "$2" "$3" "$4" || code=$?
    [ "$code" = 101 ] && grep -q 'panicked at' "$work/output" && grep -Eq -- "$5" "$work/output"
}

failures=()
prove() { # row
    local name rule folder target test words began
    IFS=$'\t' read -r name rule folder target test words <<<"$1"
    if ! passes_unbroken "$folder" "$target" "$test"; then
        complain "$test does not pass with nothing broken"
        return 0
    fi
    began=$SECONDS
    if is_noticed "$name" "$folder" "$target" "$test" "$words"; then
        printf '| %s | %s | %s | %s |\n' "$name" "$rule" "$folder: $test" $((SECONDS - began))
    else
        complain "$name is not noticed by $test: no failure that says $words"
    fi
}

start_services
build
printf '| break | rule | noticed by | s |\n| --- | --- | --- | --- |\n'
proved=0
for each in "${rows[@]}"; do
    if [ $# = 0 ] || printf '%s\n' "$@" | grep -qx -- "${each%%$'\t'*}"; then
        prove "$each"
        proved=$((proved + 1))
    fi
done
[ "$proved" -gt 0 ] || die "no break is called $*; docs/sabotage.md lists them"
if [ ${#failures[@]} -gt 0 ]; then
    printf 'error: %s\n' "${failures[@]}" >&2
    exit 1
fi
say "every break is noticed, in $SECONDS s"
