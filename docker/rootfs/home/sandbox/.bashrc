# Settings of your own go here. The prompt and the history come from /usr/lib/clawdspace/bashrc.
alias ls='ls --color=auto'
alias ll='ls -lh'
alias grep='grep --color=auto'
