GEMINI_API_KEY={{token}}
