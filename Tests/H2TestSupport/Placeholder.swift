import H2Client
