"""How people try to talk a model out of its instructions, in nine languages.

A phrase is a pattern in which a space stands for whatever may separate words, and a letter with an
accent also for the bare letter. `trigger` is what every match of the phrase contains.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Phrase(NamedTuple):
    """One way of saying it."""

    rule: str
    trigger: str
    pattern: str


_DROP = (
    "(?:ignor(?:e|ing)|disregard(?:ing)?|forget(?:ting)?|neglect|overrid(?:e|ing)|overlook|bypass|"
    "discard|abandon|(?:do not|don't|stop|never|no longer) (?:follow(?:ing)?|obey(?:ing)?|"
    "adher(?:e|ing) to|listen(?:ing)? to)|pay no attention to)"
)
_DROP_TRIGGER = (
    "ignor(?:e|ing)[^a-z]|disregard|forget(?:ting)?[^a-z]|neglect[^a-z]|overrid(?:e|ing)[^a-z]|"
    "overlook[^a-z]|bypass[^a-z]|discard[^a-z]|abandon[^a-z]|follow(?:ing)?[^a-z]|obey|adher|"
    "listen(?:ing)?[^a-z]|pay[^a-z]{1,4}no[^a-z]"
)
_FILLER = (
    "(?: (?:about|all|any|each|every|everything|of|the|these|those|that|this|your|my|our|its|and|or|"
    "completely|just|please|immediately|what|whatever|both|in|from)){0,6}"
)
_EARLIER = (
    "(?:previous(?:ly)?|prior|preceding|above|earlier|former|foregoing|past|existing|original|"
    "initial|system(?:'s)?|safety|developer(?:'s)?|hidden|given|current|old|openai|moderation|content|"
    "ethical|moral|core|internal|usage)"
)
_ORDERS = (
    "(?:instructions?|prompts?|directives?|guidelines?|commands?|constraints?|restrictions?|"
    "programming|directions|rules?|polic(?:y|ies)|safeguards?|training)"
)
_YOURS = (
    "(?: (?:me|us|back|out|with|in|a|of|the|all|any|your|full|entire|exact|complete|whole|verbatim|"
    "current|own|very|first|word|for|and|content|contents|text|copy|everything)){0,8}"
)
_TELL = (
    "(?:reveal|show|print|repeat|output|display|tell|give|leak|expose|disclose|dump|share|return|"
    "list|recite|write|copy|paste|spell|summari[sz]e|translate|encode)"
)
_PROMPT = (
    "(?:system (?:prompt|message|instructions?)|(?:initial|original|hidden|secret|internal|"
    "confidential|developer|base|pre) (?:prompt|instructions?|rules|guidelines|directives|message)|"
    "preprompt|meta prompt)"
)
_ETHICAL = (
    "(?:(?:ethical|moral|content|safety|legal|openai|usage|security) (?:or (?:ethical|moral|legal) )?"
    "(?:restrictions?|filters?|guidelines?|limitations?|limits|rules|polic(?:y|ies)|constraints?|"
    "boundaries|considerations|safeguards|concerns)|restrictions|filters|guidelines|censorship|"
    "safeguards|content polic(?:y|ies))"
)
_FREE = (
    "(?:(?:have|has|with|without|under)(?: (?:no|any|all|zero|your|the)){0,3}|no(?: longer any)?|"
    "(?:free|freed|liberated|released) (?:of|from)(?: (?:all|any|your|the)){0,2}|"
    "not (?:bound|restricted|limited|constrained) by(?: (?:any|your|the|all)){0,2}|"
    "(?:ignor(?:e|es|ing)|bypass(?:es|ing)?)(?: (?:all|any|your|the)){0,2})"
)

PHRASES: Final = (
    # English
    Phrase("override", _DROP_TRIGGER, rf"\b{_DROP}{_FILLER} {_EARLIER}{_FILLER} (?:{_EARLIER} )?{_ORDERS}\b"),
    Phrase(
        "override",
        _DROP_TRIGGER,
        rf"\b{_DROP} (?:all|any|every|everything in|your)(?: (?:of|the|these|those|your|my|own|and)){{0,3}}"
        r" (?:instructions?|prompts?|directives?|guidelines|programming|safeguards?|training)\b",
    ),
    Phrase(
        "override",
        _DROP_TRIGGER,
        rf"\b{_DROP}(?: (?:all|of|the|these|those|any|your|my)){{1,3}} (?:instructions?|prompts?|directives?|"
        r"directions|guidelines|commands|rules)(?: (?:written|given|listed|stated|you (?:were|have been) given))? "
        r"(?:above|before this|you (?:were|have been) given|that came before|from (?:before|earlier|above))\b",
    ),
    Phrase(
        "override",
        _DROP_TRIGGER,
        rf"\b{_DROP}(?: about)? (?:everything|anything|all|whatever|what)(?: (?:that|which|of it|i|we)){{0,2}} "
        r"(?:(?:above|before|prior|earlier)(?: (?:this|that|and|now|line|point)|[.:!;])|"
        r"(?:you|you've|you were|you have)(?: (?:been|were|have|had)){0,2} (?:told|instructed|taught|trained|"
        r"programmed|given|know|learned)|(?:was|has been) (?:said|written|stated) (?:before|above|so far))",
    ),
    Phrase(
        "override",
        _DROP_TRIGGER,
        rf"\b{_DROP} (?:the|all|all the|all of the) (?:above|previous|prior|preceding|foregoing)"
        r"(?: (?:text|input|content|context|messages?|directions|conversation))?(?: and (?:instead|now|just|only|then|tell|"
        r"say|print|output|write|respond|answer|do|reveal|show|give)|[.:!;] (?:instead|now|you|your|say|print|output|tell))",
    ),
    Phrase(
        "override",
        "from[^a-z]{1,4}now[^a-z]{1,4}on|new[^a-z]{1,4}(?:system|secret|important|instruction|directive|task)|instead",
        r"\b(?:new|updated|revised|real|actual) (?:(?:system|secret|important|priority|override) )?"
        r"(?:instructions?|directives?|system prompt|system message)\s{0,2}:",
    ),
    Phrase(
        "override",
        "system[^a-z]{1,4}(?:override|alert|notice|update)|admin[^a-z]{1,4}override|override[^a-z]{1,4}(?:code|protocol|mode)",
        r"\b(?:system|admin|developer|security|root) override(?:\s{0,2}[:!\]]| (?:code|protocol|mode|activated|enabled|engaged))",
    ),
    Phrase(
        "reveal",
        "prompts?|instruction|rules|guidelines|directives|message",
        rf"\b{_TELL}{_YOURS} your{_YOURS} {_PROMPT}",
    ),
    Phrase(
        "reveal",
        "prompts?|instruction|rules|guidelines|directives|message",
        rf"\b(?:reveal|print|repeat|output|leak|expose|disclose|dump|recite)(?: (?:to|me|us|out|back|all|of|full|entire|exact|complete|verbatim|whole)){{0,5}} "
        r"the (?:(?:full|entire|exact|complete|whole|verbatim|above|initial|original|hidden) ){0,3}(?:system prompt|hidden prompt|initial prompt|"
        r"initial instructions|hidden instructions|original instructions|system instructions|secret prompt)\b",
    ),
    Phrase(
        "reveal",
        "prompts?|instruction|rules|guidelines|directives|message",
        rf"\bwhat(?:'s|s)?(?: (?:is|are|was|were|does|do|did|exactly|exact)){{0,3}} your{_YOURS} (?:{_PROMPT}|instructions(?: verbatim| exactly|\?| word))",
    ),
    Phrase(
        "reveal",
        "above|before|prior|preceding|beginning|precede|you[^a-z]{1,4}(?:were|have|got|received)",
        r"\b(?:repeat|print|output|copy|recite|reproduce|write|return|show|reveal|display)(?: (?:me|back|out|down|to|all|every|each|of|the|exactly|verbatim|word|for|full|entire)){0,6}"
        r" (?:words?|text|everything|contents?|lines?|sentences?|paragraphs?|messages?|instructions?|prompts?|tokens)"
        r"(?: (?:that|which|is|are|was|were|written|found|placed|come|came|you|have|had|been)){0,4} (?:above|before this|preceding this|prior to this|given to you|received|were given|given at the|at the beginning|at the start)"
        r"(?: (?:starting|beginning|verbatim|exactly|in a|in full|word|this|and put|inside|conversation|message|line|prompt|chat)|[.:!;?\"]| of (?:this|the|our) (?:conversation|chat|prompt))",
    ),
    Phrase(
        "persona",
        "you[^a-z]{0,4}(?:are|re|will)|act|pretend|behave|respond|answer|become|play|dan",
        r"\b(?:you(?:'re| are| will be)(?: (?:now|from now on|going to be|going to act as|about to|to be|called|named|an?|the|in|playing|as|my|officially)){0,5}|"
        r"(?:act|behave|respond|answer|reply|operate|function|speak)(?: (?:now|as|like|an?|if you (?:are|were)|the)){1,4}|pretend (?:to be|that you are|you are|you're)(?: (?:an?|the))?|become(?: (?:an?|the))?|enter|activate|enable) "
        r"(?:(?:completely|totally|fully|evil|advanced|new|uncensored|unfiltered|unrestricted) ){0,2}"
        r"(?:jailbroken|jailbreak mode|unrestricted (?:ai|model|assistant|chatbot|mode|language model|version)|unfiltered (?:ai|model|assistant|chatbot|mode|version)|uncensored (?:ai|model|assistant|chatbot|mode|version)|"
        r"amoral (?:ai|model|assistant|chatbot)|evil[ -]?(?:ai|bot|confidant|twin of|gpt)|do anything now|(?:dan mode|dan who|dan which)|developer mode\b)",
    ),
    Phrase(
        "persona",
        "do[^a-z]{1,4}anything[^a-z]{1,4}now|developer[^a-z]{1,4}mode",
        r"(?:\(?[\"']?\bdo anything now[\"']\)?|\bstands for [\"']?do anything now|\bdan[^a-z]{1,4}do anything now|(?:chatgpt|gpt|assistant|model|ai|claude|llama) (?:with|in|has) (?:the )?developer mode|"
        r"developer mode (?:output|response|enabled|activated)(?:\s?[:\])]| (?:you|for this chat|chatgpt|from now))|(?:respond|answer|reply|responses?|outputs?) (?:in|as|with|using)(?: a| the)? developer mode)",
    ),
    Phrase(
        "persona",
        "restriction|filter|guideline|censor|safeguard|polic|limit|rules|constraint|boundar|considerations|concerns",
        rf"\b(?:pretend|imagine|suppose|assume|act|behave|respond|answer|reply|operate|role ?play|simulate|play|you are now|you're now|you will|you can now|you now)(?: [a-z',]{{1,14}}){{0,10}},? {_FREE} {_ETHICAL}\b",
    ),
    Phrase(
        "persona",
        "jailbr|without",
        r"\b(?:you (?:are|have been) (?:now )?jailbroken|jailbreak yourself|switch to (?:jailbreak|unrestricted|unfiltered|uncensored) mode|"
        r"without (?:any )?(?:moral|ethical) (?:or (?:moral|ethical|legal) )?(?:judge?ments?|restrictions?|constraints?|filters?|considerations))",
    ),
    Phrase(
        "conceal",
        "user",
        r"\b(?:do not|don't|never|without) (?:tell(?:ing)?|inform(?:ing)?|alert(?:ing)?|notify(?:ing)?|let(?:ting)?|warn(?:ing)?) the (?:user|human|operator|customer)"
        r"(?: (?:about|of|know|that|see))?(?: (?:about|of))? (?:this|these|it|the (?:instructions?|injection|message|email|transfer|change|request)|any(?:thing| of this)|what you|you|that you|your)\b",
    ),
    Phrase(
        "conceal",
        "user",
        r"\b(?:do not|don't|never) (?:mention|reveal|disclose|show|tell)(?: (?:this|these|it|any of this|these instructions|this instruction|this message|the existence of this(?: message)?)){1,2} to the (?:user|human|customer)\b",
    ),
    Phrase(
        "exfiltrate",
        "send|post|forward|upload|exfiltrat|transmit|append",
        r"\b(?:send|post|forward|upload|exfiltrate|transmit|append|e-?mail)(?: (?:a|all|any|of|the|this|your|our|entire|full|whole|user's|users|complete)){0,5} "
        r"(?:conversations?|chat (?:history|log)|system prompt|api keys?|credentials|passwords|secrets|session tokens?|private (?:data|keys?))(?: [a-z]{1,12}){0,4} to (?:the (?:url|address|server|endpoint) )?(?:https?://|[a-z0-9._%+\-]{1,32}@)",
    ),
    Phrase(
        "wrapper",
        "base ?-?64|rot ?-?13|hexadecimal|caesar|morse|cipher",
        r"(?:\b(?:decode|decrypt|decipher|translate|convert|unscramble)[^.\n]{0,48}(?:base ?-?64|rot ?-?13|hexadecimal|caesar|morse|cipher)[^\n]{0,64}?(?:and|then|,) "
        r"(?:(?:then|immediately|just|strictly|exactly) ){0,2}(?:follow|obey|comply with|act on|act upon|carry out|do what|do as|do exactly|execute the (?:instructions?|commands? (?:in|inside|within))|perform the (?:instructions?|action)|answer it|respond to (?:it|the)))",
    ),
    # German
    Phrase(
        "override",
        "ignorier|vergiss|vergessen|missacht|beachte|befolge|überschreib|uberschreib|setze",
        r"(?:ignorier(?:e|en|t)?|vergiss|vergessen|missachte|überschreibe|(?:beachte|befolge))(?: (?:sie|bitte|jetzt|nun|einfach|alle|alles|die|deine|ihre|sämtliche|was|vollständig|ab|sofort|nicht|mehr|keine)){0,6}"
        r"(?: (?:vorherigen|vorigen|bisherigen|früheren|obigen|vorangegangenen|vorangehenden|ursprünglichen|bestehenden|deine|deiner|ihre|alle))+(?: (?:system|und))?[ -]?(?:anweisungen|instruktionen|anordnungen|vorgaben|befehle|regeln|richtlinien|systemanweisungen|prompts?|systemprompts?)",
    ),
    Phrase(
        "override", "vergiss|vergessen|ignorier",
        r"(?:vergiss|vergessen sie|ignoriere|ignorieren sie) alles,?(?: was)? (?:(?:dir|ihnen|man dir|ich dir|du|dir bisher) (?:[a-zäöü]{2,12} ){0,3}(?:gesagt|aufgetragen|befohlen|gelernt|mitgeteilt)|(?:davor|darüber|oben|bisherige|vorherige)(?: (?:und|gesagte|steht)|[.:!,]))",
    ),
    Phrase(
        "reveal", "prompt|anweisung|instruktion",
        r"(?:zeig(?:e|en)?|nenn(?:e|en)?|verrat(?:e|en)?|gib|geben|wiederhol(?:e|en)?|druck(?:e|en)?|schreib(?:e|en)?|offenbar(?:e|en)?|was (?:ist|sind|war|waren)|wie (?:lautet|lauten))(?: (?:mir|uns|sie|bitte|den|die|das|deine|deinen|ihre|ihren|dein|ihr|deines|ihres|genauen?|vollständigen?|kompletten?|ganzen?|gesamten?|wörtlich|wortwörtlich|alle|inhalt|text)){0,7}"
        r" (?:(?:deine?[nrs]?|ihre?[nrs]?) )(?:(?:genauen?|vollständigen?|kompletten?|ganzen?|gesamten?|geheimen?|ursprünglichen?|internen?) ){0,3}(?:system[ -]?prompts?|system[ -]?anweisung(?:en)?|(?:geheimen?|ursprünglichen?|internen?|initialen?|versteckten?) (?:anweisungen|instruktionen|prompts?)|systemnachricht)",
    ),
    Phrase(
        "persona", "einschränkung|einschrankung|beschränkung|beschrankung|filter|richtlinien|zensur",
        r"(?:du bist (?:jetzt|nun|ab sofort)|tu so|verhalte dich|antworte|stell dir vor|spiele|handle)(?: [a-zäöüß,]{1,14}){0,10},? (?:ohne|keine|keinerlei|frei von)(?: (?:jegliche|jede|alle|ethische|moralische|irgendwelche|deine)){0,3} (?:einschränkungen|beschränkungen|filter|richtlinien|zensur|regeln und filter)",
    ),
    # French
    Phrase(
        "override", "ignor|oubli|néglig|neglig|suis plus|suivez plus|respecte",
        r"(?:ignor(?:e|ez|er|ons)|oubli(?:e|ez|er)|néglige[rz]?|ne (?:suis|suivez|respecte|respectez|tiens|tenez) (?:plus|pas)(?: compte)?)(?: (?:de|maintenant|complètement|s'il|vous|plaît|stp|immédiatement|tout|toute|toutes|tous|les|tes|vos|ces|mes|des)){0,6}"
        r" (?:(?:précédentes?|antérieure?s|initiales?) )?(?:instructions?|consignes?|directives?|règles?|ordres|commandes|prompts?)(?: (?:système|qui|données?|de|sécurité|reçues?)){0,3} (?:précédent(?:e?s|e)?|antérieure?s|ci-dessus|initiales?|d'avant|au-dessus|données? (?:plus haut|avant|précédemment)|plus haut)",
    ),
    Phrase(
        "override", "ignor|oubli",
        r"(?:ignore[zr]?|oublie[zr]?)(?: (?:de))? (?:tout ce (?:qui (?:précède|a été dit|est (?:écrit )?(?:au-dessus|ci-dessus))|qu'on (?:t'a|vous a) dit|que (?:tu as|vous avez) (?:appris|reçu))|(?:toutes )?(?:tes|vos) (?:instructions|consignes|directives|règles)\b)",
    ),
    Phrase(
        "reveal", "prompt|instruction|consigne|invite",
        r"(?:révèle|révélez|affiche|affichez|montre|montrez|répète|répétez|donne|donnez|dis|dites|écris|écrivez|imprime|quelles? (?:est|sont|était|étaient)|quel (?:est|était))(?:[ -](?:moi|nous|mot|à|pour|tout|toutes?|le|la|les|ton|ta|tes|votre|vos|texte|contenu|intégral|de|exactement|exactes?)){0,8}"
        r" (?:ton|ta|tes|votre|vos) (?:(?:propre|complet|entier) )?(?:prompt (?:système|système complet|initial|caché|secret)|system prompt|message système|invite système|(?:instructions|consignes|directives) (?:système|initiales|cachées|secrètes|internes|d'origine|confidentielles))",
    ),
    Phrase(
        "persona", "restriction|filtre|limite|censure",
        r"(?:tu es (?:maintenant|désormais)|vous êtes (?:maintenant|désormais)|fais comme si|faites comme si|agis|réponds|imagine que tu|comporte-toi)(?: [a-zà-ÿ',]{1,14}){0,10},? (?:sans|n'avais|n'as|libre de)(?: (?:aucune?|toutes?|pas|plus|de|d'|les))*(?:[ ]?)(?:restrictions?|filtres?|limites? (?:éthiques?|morales?)|censure|règles (?:éthiques|morales))",
    ),
    # Spanish, Portuguese, Italian
    Phrase(
        "override", "ignor|olvid|esque|desconsider|omit|dimentic|scord|disconsider|haz caso|sigas",
        r"(?:ignor(?:a|e|es|en|ar|ad|i|are|ate|ino)|olvid(?:a|e|ar|en|ate)|olvídate|esqueça|esqueca|esquece|esquecer|desconsider(?:a|e|ar)|omite|no (?:sigas|hagas caso a|hagas caso de)|dimentica(?:re|te)?|scorda(?:ti)?|trascura)(?: (?:de|por|favor|per|favore|completamente|ahora|agora|ora|tudo|todo|todas|todos|tutte|tutti|las|los|as|os|le|gli|i|tus|sus|suas|tuas|tue|tuoi|mis|estas|essas|queste|essa|las tus)){0,6}"
        r" (?:(?:anteriores|previas|precedenti|prévias) )?(?:instrucciones|instruções|istruzioni|indicaciones|órdenes|ordens|ordini|directrices|diretrizes|direttive|reglas|regras|regole|comandos|comandi|prompts?)(?: (?:del|do|di|de|sistema|que|te|dieron|recibidas|recebidas|ricevute|dadas|date|e)){0,5} (?:anterior(?:es|mente)?|previas?|prévias?|precedent[ei]|prior(?:es)?|iniciales|iniciais|iniziali|(?:de )?arriba|acima|(?:di )?sopra|sistema|originales|originais|originali)",
    ),
    Phrase(
        "override", "ignora|olvida|esque|dimentica",
        r"(?:ignora|olvida|olvídate de|esqueça|esquece|ignore|dimentica) (?:todo lo (?:anterior|que (?:te|se te|has))|tudo o que (?:foi dito|veio antes|te|você)|tutto (?:ciò|quello) che (?:ti|precede|è stato|hai)|todas (?:tus|sus|as suas|as tuas|suas|tuas) (?:instrucciones|instruções)|tutte le tue istruzioni)",
    ),
    Phrase(
        "reveal", "prompt|instrucciones|instruções|instrucoes|istruzioni|mensaje|mensagem",
        r"(?:revela(?:me|-me)?|revele|muestra(?:me)?|muéstrame|muestre|mostra(?:mi|-me|re)?|mostre|repite|repita|repeti|ripeti|imprime|imprima|stampa|escribe|escreva|scrivi|dime|dame|diga|dimmi|dammi|exibe|exiba|cuál(?:es)? (?:es|son|era|eran)|qual(?:e|i|is)? (?:é|è|são|sono|era|eram|erano))(?: (?:me|a|o|as|os|el|la|las|los|il|le|i|lo|todo|tudo|tutto|tu|tus|su|sus|seu|sua|suas|seus|teu|tua|tuo|tue|texto|contenido|conteúdo|completo|completa|exacto|exatas?|literalmente|palabra|por|palavra|parola|per|de|do|del)){0,8}"
        r" (?:tu|tus|su|sus|seu|sua|suas|seus|teu|tua|tuas|tuo|tuoi|tue) (?:(?:propio|próprio|completo) )?(?:prompts? (?:de(?:l)? sistema|do sistema|di sistema|inicial(?:es)?|iniziale|oculto|secreto|segreto|nascosto)|system prompt|mensaje (?:de|del) sistema|mensagem (?:de|do) sistema|(?:instrucciones|instruções|istruzioni) (?:de(?:l)? sistema|do sistema|di sistema|iniciales|iniciais|iniziali|ocultas|nascoste|secretas|segrete|internas|interne|originales|originais|originali))",
    ),
    Phrase(
        "persona", "restri[cçz]|filtr|censur|limita|límites eticos|limites",
        r"(?:(?:ahora|agora|ora) (?:eres|você é|voce e|sei)|eres (?:ahora|un[ao]?)|finge|fingi|actúa|atue|aja|agisci|responde|responda|rispondi|imagina que|imagine que|immagina|compórtate|comportati)(?: [a-zà-ÿ',]{1,14}){0,10},? (?:sin|sem|senza|libre de|livre de|libero da)(?: (?:ning[uú]n(?:a)?|nenhum(?:a)?|nessun(?:a|o)?|alguna|alcuna|todas?|todo|tus|las|as|le|qualquer))*[ ](?:restricc?iones|restrições|restrizioni|filtros?|filtri|filtro|censura|l[ií]mites (?:éticos|morales|éticos)|limitaciones éticas|limitações éticas)",
    ),
    # Russian
    Phrase(
        "override", "игнорир|забудь|забудьте|не следуй|отбрось|пренебре",
        r"(?:(?:про)?игнорируй(?:те)?|игнорировать|забудь(?:те)?|отбрось(?:те)?|не следуй(?:те)?|пренебреги(?:те)?)(?: (?:обо?|про|все|всех|всем|всё|эти|свои|своих|твои|ваши|пожалуйста|полностью|и|любые)){0,5}"
        r" (?:предыдущи[ехми]{1,3}|прежни[ехми]{1,3}|прошлы[ехми]{1,3}|вышеуказанны[ехми]{1,3}|вышестоящи[ехми]{1,3}|ранее данны[ехми]{1,3}|системны[ехми]{1,3}|изначальны[ехми]{1,3}|исходны[ехми]{1,3}|свои|твои)(?: (?:системны[ехми]{1,3}|полученны[ехми]{1,3}))? (?:инструкци[а-я]{1,3}|указани[а-я]{1,3}|команд[а-я]{0,3}|правил[а-я]{0,3}|распоряжени[а-я]{1,3}|ограничени[а-я]{1,3}|промпт[а-я]{0,3})",
    ),
    Phrase(
        "override", "забудь|игнорируй",
        r"(?:забудь(?:те)?|(?:про)?игнорируй(?:те)?) (?:всё|все),? (?:что (?:тебе|вам|я|было|ты)(?: [а-яё]{2,12}){0,2} (?:говорил[аи]?|сказали|сказано|сказал|написано|знаешь|велели|выше)|(?:выше|ранее)(?:сказанное|написанное))",
    ),
    Phrase(
        "reveal", "промпт|инструкц|сообщени",
        r"(?:покажи(?:те)?|раскрой(?:те)?|выведи(?:те)?|повтори(?:те)?|напечатай(?:те)?|напиши(?:те)?|назови|скажи|сообщи|каков[аы]?|какой|какие)(?: (?:мне|нам|у|тебя|весь|все|полностью|дословно|слово|в|полный|текст|точный|твой|твои|свой|свои|ваш|ваши)){0,6} (?:твой|твои|твоего|своего|свой|свои|ваш|ваши) (?:(?:полный|исходный|изначальный|весь|скрытый) ){0,2}(?:системн(?:ый|ого|ые) (?:промпт[а]?|инструкции|запрос|сообщение)|(?:скрытые|секретные|исходные|начальные|изначальные) (?:инструкции|указания)|системное сообщение|системную подсказку)",
    ),
    Phrase(
        "persona", "ограничен|фильтр|цензур",
        r"(?:ты (?:теперь|отныне|сейчас)|представь,? что ты|притворись|веди себя|отвечай|действуй)(?: [а-яёa-z,]{1,16}){0,10},? (?:без|нет|не имеешь|свободен от|лишён)(?: (?:каких-либо|всяких|всех|никаких|этических|моральных|любых)){0,3} (?:ограничений|фильтров|цензуры)",
    ),
    # Chinese
    Phrase(
        "override", "忽略|忽视|忽視|无视|無視|忘记|忘記|忘掉|不要遵守|不要遵循|抛开",
        r"(?:忽略|忽视|忽視|无视|無視|忘记|忘記|忘掉|不要(?:再)?(?:遵守|遵循)|抛开)(?:掉|你|您|所有|全部|一切|任何|的|这些|上述|我|在此|此){0,6}(?:之前|以前|先前|前面|以上|上面|上述|此前|原有|原来|原先|系统|之前给你|收到|先前)(?:的|所有|全部|任何|一切|给你|所说|收到|给出|系统){0,5}(?:指令|指示|提示词?|命令|规则|規則|要求|设定|設定|限制|约束|说明|內容|内容)",
    ),
    Phrase(
        "reveal", "提示|指令|设定|設定",
        r"(?:显示|顯示|告诉我|告訴我|输出|輸出|打印|列印|重复|重複|透露|泄露|洩露|展示|复述|说出|公开|给我看)(?:一下|出|你|您|的|所有|全部|完整|原始|我|一遍|一字不差地?|逐字){0,6}(?:你|您)(?:的|所有|全部|完整|原始|最初|初始|隐藏|内部){0,5}(?:系统提示词?|系統提示詞?|系统指令|系統指令|系统消息|系统设定|初始指令|初始提示词?|隐藏指令|内部指令|提示词)",
    ),
    Phrase(
        "persona", "限制|约束|約束|审查|審查|过滤",
        r"(?:你现在是|你現在是|从现在(?:起|开始),?你|假装你?|扮演|假设你)[^。\n]{0,32}(?:没有|沒有|不受|无|無|不再受|摆脱)(?:任何|所有|一切|道德|伦理|内容|安全|的|和){0,5}(?:限制|约束|約束|审查|審查|过滤)",
    ),
    # Japanese
    Phrase(
        "override", "無視|忘れ|従わない",
        r"(?:これまで|今まで|以前|前|上記|以上|先ほど|過去|最初|元|システム|すべて|全て|あなた)(?:の|に与えられた|与えられた|すべて|全て|全部|述べた|、){0,5}(?:指示|命令|プロンプト|ルール|規則|指令|制約|制限|ガイドライン)(?:は|を|すべて|全て|全部|も|、|完全に|一切){0,4}(?:無視|忘れ|従わない)",
    ),
    Phrase(
        "reveal", "プロンプト|指示|メッセージ",
        r"(?:あなた|君|お前)(?:の|に与えられた|すべて|全て|完全な|隠された|最初|元|内部){1,4}(?:システムプロンプト|システムメッセージ|システム指示|初期プロンプト|初期指示|指示|プロンプト)(?:の|を|全文|内容|そのまま|すべて|全て|一字一句|正確に|完全に|、|私に){1,6}(?:表示|出力|教え|見せ|公開|開示|繰り返|明かし|書き出)",
    ),
    Phrase(
        "reveal", "システムプロンプト",
        r"システムプロンプト(?:の|を|全文|内容|そのまま|すべて|全て|一字一句|正確に|完全に|、|私に){1,6}(?:表示|出力|教え|見せ|公開|開示|繰り返|明かし|書き出)",
    ),
    Phrase(
        "persona", "制限|制約|フィルター|検閲",
        r"(?:一切の|いかなる|倫理的な?|道徳的な?|すべての)(?:制限|制約|フィルター|検閲)(?:が|も|の|を){0,2}(?:ない|なし|受けない|無視|持たない|なく)(?:ai|モデル|アシスタント|で|に|として|状態)",
    ),
)
"""Checked on the text as it stands, and on its canonical form where it is disguised."""

TOKENS: Final = (
    r"<\|(?:im_start|im_end|im_sep|system|user|assistant|endoftext|start_header_id|end_header_id|"
    r"eot_id|begin_of_text|end_of_text|endofprompt|fim_prefix|tool_call)\|>|"
    r"\[/?INST\]|<</?SYS>>|<(?:start|end)_of_turn>|"
    r"</(?:system|system_prompt|system-prompt|system_message|instructions|untrusted|user_input|developer)>"
)
"""Marks by which chat templates separate who speaks: nobody but the template may write them."""
