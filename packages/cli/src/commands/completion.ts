import type { Context } from "../context.js";
import { usageError } from "../failure.js";

/** Each shell asks this program itself, so that what it offers is never older than the program. */
const SCRIPTS: Record<string, string> = {
  bash: `_clawdspace() {
  local IFS=$'\\n' word=\${COMP_WORDS[COMP_CWORD]}
  # Bash parts words at colons; what was typed before one is not ours to repeat.
  local line=\${COMP_LINE:0:COMP_POINT} answer
  answer=$(clawdspace __complete -- "$line" 2>/dev/null)
  if [ "$answer" = ":files" ]; then COMPREPLY=($(compgen -f -- "$word")); return; fi
  COMPREPLY=($answer)
  if [[ $line == *:* && $COMP_WORDBREAKS == *:* ]]; then
    local typed=\${line##*[[:space:]]}
    COMPREPLY=("\${COMPREPLY[@]#"\${typed%:*}:"}")
  fi
  [[ \${COMPREPLY[0]} == *[/:] ]] && compopt -o nospace
}
complete -o default -F _clawdspace clawdspace
`,
  zsh: `#compdef clawdspace
_clawdspace() {
  local answer
  answer=("\${(@f)$(clawdspace __complete -- "\${(j: :)words[1,CURRENT]}" 2>/dev/null)}")
  if [[ "$answer[1]" == ":files" ]]; then _files; return; fi
  compadd -Q -S '' -- $answer
}
(( $+functions[compdef] )) && compdef _clawdspace clawdspace
`,
  fish: `function __clawdspace_complete
  set -l answer (clawdspace __complete -- (commandline -cp) 2>/dev/null)
  if test "$answer" = ":files"
    __fish_complete_path (commandline -ct)
  else
    printf '%s\\n' $answer
  end
end
complete -c clawdspace -f -a '(__clawdspace_complete)'
`,
};

export async function run({ out }: Context, [shell]: [string]): Promise<undefined> {
  const script = SCRIPTS[shell];
  if (script === undefined) {
    throw usageError(`There is no completion for "${shell}".`, "Shells: bash, zsh, fish.");
  }
  out.result({ shell, script }, () => script);
}
