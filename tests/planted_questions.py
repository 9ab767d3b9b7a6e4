"""Questions that a knowledge base about hosting has no answer to: some subjects again and again, others once."""

PLANTED = {
    "printer": [
        "How do I connect my printer to the office network?", "printer is not connecting to the wifi",
        "I can't get the printer on the network", "Can I set up the network printer from my laptop?",
        "The office printer does not show up on my network", "how to add a wireless printer",
        "My printer lost its network connection", "connecting the printer over wifi does not work",
    ],
    "datev": [
        "How can I export my invoices to DATEV?", "datev export of invoices", "Is there a way to send invoices to DATEV?",
        "I need a DATEV export for my accountant", "Do you support exporting bills in DATEV format?",
        "where is the datev export button", "Export for DATEV please", "Can my accountant get the invoices as a DATEV file?",
    ],
    "dark mode": [
        "Do you support dark mode?", "Is there a dark mode for the customer panel?", "where's the dark mode setting",
        "How do I switch the panel to dark mode?", "turn on dark mode", "Can I have a dark theme in the panel?",
        "enable dark mode in the control panel", "dark mode would be nice, does it exist?",
    ],
    "android": [
        "Do you have a mobile app for Android?", "android app download", "Is there an Android app to manage my account?",
        "where can I get your android app", "Can I install your app on my Android phone?",
        "I can't find your app in the Android store", "mobile app for android phones?", "Does an Android application exist?",
    ],
    "parking": [
        "Can I park at your office?", "parking at your office building?", "Where can visitors park at your office?",
        "Is there parking for visitors near the office?", "Do you have a parking space for guests?",
        "I am visiting your office, where do I park my car?", "visitor parking at the office", "parking spots for visitors",
    ],
    "sepa": [
        "How do I set up a SEPA direct debit?", "pay by SEPA direct debit", "Can I pay with direct debit from my bank?",
        "sepa mandate form", "I want to pay my invoices by SEPA mandate", "Where do I sign the SEPA mandate?",
        "switch my payment to SEPA direct debit", "Do you accept SEPA direct debit?",
    ],
    "minecraft": [
        "Can I run a Minecraft server on my plan?", "minecraft server hosting", "Is it allowed to host a Minecraft server?",
        "How do I install a Minecraft server?", "I want to host Minecraft for my friends",
        "does the hosting plan support a minecraft server", "minecraft server setup on your hosting",
        "Which plan do I need for a Minecraft server?",
    ],
    "solar": [
        "Is your data centre powered by solar energy?", "do you use green energy in your data center",
        "Is the data centre powered by renewable energy?", "How green is the energy of your data centre?",
        "Does your data center run on renewable power?", "green electricity for the data centre?",
        "Which renewable energy does the data centre use?", "Are your data centres powered by green energy?",
    ],
}  # fmt: skip

STRAYS = [
    "What is the capital of Mongolia?", "How long do eggs boil?", "My cat sits on the keyboard",
    "Who won the chess championship?", "Can you write a poem about rain?", "What does a violin cost?",
    "Is tomorrow a holiday in Spain?", "I lost my umbrella in the train", "How tall is that tower in Dubai?",
    "Which shoes are best for running?", "Translate good morning into Finnish", "My neighbour plays the drums at night",
    "How do airplanes fly?", "What time is it in Tokyo?", "Recommend a book about whales", "Why is the sea salty?",
    "Can I bring my dog to the beach?", "What is a good name for a hamster?", "How do I remove wine from a carpet?",
    "When do tulips bloom?", "Is chocolate good for the heart?", "How many people live in Peru?",
    "Where do I renew my passport?", "What rhymes with orange?",
]  # fmt: skip
