# What zsh offers after a line, as if TAB were typed: a shell of its own on a terminal of its own, with our completion.
# Usage: zsh -f drive.zsh FOLDER LINE      prints the words that it would add, sorted, one a line
if [[ -z $DRIVEN_LINE ]]; then
    zmodload zsh/zpty || exit
    export DRIVEN_FOLDER=$1 DRIVEN_LINE=$2 DRIVEN_FOUND=$(mktemp)
    zpty driven zsh -f -i
    zpty -w driven "source ${(q)0:A}"
    # Until it ends.
    while zpty -r driven said; do :; done
    sort -u $DRIVEN_FOUND
    rm $DRIVEN_FOUND
    exit
fi

fpath=(${DRIVEN_FOLDER:A} $fpath)
autoload -Uz compinit
compinit -u -D

# Nothing is shown, so nobody asks whether so many are wanted.
unsetopt AUTO_LIST AUTO_MENU

# Each word passes through here on its way to the list.
compadd() {
    builtin compadd "$@"
    local result=$? arguments="${@[1,(i)(-|--)]} "
    # These calls ask what would match; they offer nothing.
    if [[ $arguments != *-[OAD]\ * ]]; then
        local -a offered
        builtin compadd -A offered "$@"
        print -rl -- $offered >>$DRIVEN_FOUND
    fi
    return result
}

zle-line-init() {
    BUFFER=$DRIVEN_LINE
    CURSOR=$#BUFFER
    zle complete-word
    exit
}
zle -N zle-line-init
