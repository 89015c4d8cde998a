# Kills a worker's programs when the worker is gone; see guard.rs.
# Asked to end, it stays: a worker that drains still runs programs.
trap '' TERM INT HUP
groups=
while read -r line; do
    group=${line#?}
    case $line in
    +*) groups="$groups $group" ;;
    -*)
        kept=
        for one in $groups; do
            [ "$one" = "$group" ] || kept="$kept $one"
        done
        groups=$kept
        ;;
    esac
done
for group in $groups; do
    kill -s KILL -- "-$group"
done
