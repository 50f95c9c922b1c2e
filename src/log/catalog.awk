# Makes the journal's message catalog from events.def. Reads the EVENT(…) entries as C does: string
# literals side by side are one, \n is a new line. Text is wrapped, as journalctl -x does not.

# The arguments of one entry, parted at the commas outside of literals, into argument[1..].
function split_entry(entry,    i, c, inside, count)
{
    count = 1
    argument[1] = ""
    for (i = 1; i <= length(entry); i++) {
        c = substr(entry, i, 1)
        if (inside && c == "\\") {
            c = substr(entry, ++i, 1)
            argument[count] = argument[count] (c == "n" ? "\n" : c)
        } else if (c == "\"")
            inside = !inside
        else if (inside)
            argument[count] = argument[count] c
        else if (c == ",")
            argument[++count] = ""
    }
    return count
}

function wrap(text,    count, words, i, column)
{
    count = split(text, words, " ")
    for (i = 1; i <= count; i++) {
        if (i > 1) {
            if (column + 1 + length(words[i]) > 75) {
                printf "\n"
                column = 0
            } else {
                printf " "
                column++
            }
        }
        printf "%s", words[i]
        column += length(words[i])
    }
    printf "\n"
}

function write_entry(    count, paragraphs, i)
{
    if (split_entry(entry) != 6 || length(argument[4]) != 32 || argument[4] ~ /[^0-9a-f]/) {
        print FILENAME ":" FNR ": not an entry of six arguments with a message id" > "/dev/stderr"
        failed = 1
        exit 1
    }
    printf "\n-- %s\nSubject: %s\nDefined-By: forkechod\n", argument[4], argument[5]
    print "Documentation: man:forkechod(8) man:forkechod.conf(5)"
    count = split(argument[6], paragraphs, "\n\n")
    for (i = 1; i <= count; i++) {
        printf "\n"
        wrap(paragraphs[i])
    }
}

BEGIN { print "# forkechod's messages in the journal, for journalctl -x." }
/^EVENT\(/ { open = 1; entry = "" }
open { sub(/^ +/, " "); entry = entry $0 }
open && /"\)$/ { write_entry(); open = 0 }
END { if (open && !failed) { print FILENAME ": the last entry has no end" > "/dev/stderr"; exit 1 } }
